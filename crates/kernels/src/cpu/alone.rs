//! No threads but the caller's: a browser's page that may not share memory between its workers.

use crate::Error;

#[derive(Debug)]
pub(super) struct Pool;

impl Pool {
    pub(super) fn new(_threads: Option<usize>) -> Result<Self, Error> {
        Ok(Self)
    }

    pub(super) fn threads(&self) -> usize {
        1
    }

    pub(super) fn each<T>(&self, _active: usize, items: Vec<T>, work: impl Fn(T)) {
        items.into_iter().for_each(work);
    }
}
