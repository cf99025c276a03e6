//! Reading files before their turn, on a thread that throws the bytes away: what counts is that the system then has them in memory,
//! and that the disk works while weights are repacked and kernels compiled. The system's own reading ahead is 128 KiB on Linux,
//! and from a fast disk a cold start took three times as long with that alone.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// How far before its reader the thread may be: as far as a disk gets while a device is opened, little for the system's memory.
const AHEAD: u64 = 512 << 20;
/// Bytes of a file from which a thread is worth starting.
const WORTH: u64 = 32 << 20;
/// Bytes read at once.
const STEP: u64 = 1 << 20;

/// The thread ends with this, within one read.
pub struct ReadAhead(Arc<Shared>);

#[derive(Default)]
struct Shared {
    /// How far the thread may read; None: no further.
    up_to: Mutex<Option<u64>>,
    moved: Condvar,
}

impl ReadAhead {
    /// Reads these files, of so many bytes together, as if they were one; None where that is not worth it.
    pub fn start(paths: Vec<PathBuf>, bytes: u64) -> Option<ReadAhead> {
        if bytes < WORTH {
            return None;
        }
        let shared = Arc::new(Shared {
            up_to: Mutex::new(Some(AHEAD)),
            moved: Condvar::new(),
        });
        let ahead = ReadAhead(shared.clone());
        let thread = std::thread::Builder::new().name("read ahead".into());
        thread.spawn(move || shared.read(paths)).ok()?;
        Some(ahead)
    }

    /// The one who reads in earnest is here.
    pub fn reached(&self, at: u64) {
        if let Some(up_to) = self.0.lock().as_mut() {
            *up_to = (*up_to).max(at.saturating_add(AHEAD));
            self.0.moved.notify_one();
        }
    }
}

impl Drop for ReadAhead {
    fn drop(&mut self) {
        *self.0.lock() = None;
        self.0.moved.notify_one();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Option<u64>> {
        self.up_to.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes read. What cannot be read is for the one who reads in earnest to say.
    fn read(&self, paths: Vec<PathBuf>) -> u64 {
        let mut at = 0;
        let Ok(mut nowhere) = nowhere() else {
            return at;
        };
        for path in paths {
            let Ok(file) = File::open(path) else {
                return at;
            };
            while self.may_read(at) {
                match io::copy(&mut step_of(&file), &mut nowhere) {
                    Ok(0) => break,
                    Ok(n) => at += n,
                    Err(_) => return at,
                }
            }
        }
        at
    }

    /// Waits until `at` may be read; false at the end of it all.
    fn may_read(&self, at: u64) -> bool {
        let far = |up_to: &mut Option<u64>| up_to.is_some_and(|up_to| at >= up_to);
        let waited = self.moved.wait_while(self.lock(), far);
        waited.unwrap_or_else(PoisonError::into_inner).is_some()
    }
}

/// Where the bytes go. Linux moves them from a file to this one without copying them: a processor less busy.
#[cfg(target_os = "linux")]
fn nowhere() -> io::Result<File> {
    File::options().write(true).open("/dev/null")
}

#[cfg(target_os = "linux")]
fn step_of(file: &File) -> io::Take<&File> {
    file.take(STEP)
}

#[cfg(not(target_os = "linux"))]
fn nowhere() -> io::Result<io::Sink> {
    Ok(io::sink())
}

#[cfg(not(target_os = "linux"))]
fn step_of(file: &File) -> io::BufReader<io::Take<&File>> {
    io::BufReader::with_capacity(STEP as usize, file.take(STEP))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_reads_as_far_as_it_may_and_ends_with_its_owner() {
        let folder = std::env::temp_dir().join(format!("chord-ahead-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let paths = ["a", "b"].map(|name| folder.join(name));
        let step = STEP;
        for path in &paths {
            std::fs::write(path, vec![1; 3 * STEP as usize]).expect("a file");
        }
        assert!(ReadAhead::start(paths.to_vec(), WORTH - 1).is_none());
        let start = |up_to| {
            let shared = Arc::new(Shared {
                up_to: Mutex::new(Some(up_to)),
                moved: Condvar::new(),
            });
            let (paths, thread) = (paths.to_vec(), shared.clone());
            let thread = std::thread::spawn(move || thread.read(paths));
            (ReadAhead(shared), thread)
        };
        let (_ahead, thread) = start(u64::MAX);
        assert_eq!(thread.join().expect("no panic"), 6 * step, "both files");
        // In the middle of the second file it waits for the one who reads, and then goes on.
        let (ahead, thread) = start(4 * step);
        ahead.reached(step);
        assert_eq!(thread.join().expect("no panic"), 6 * step);
        let (ahead, thread) = start(4 * step);
        drop(ahead);
        assert!(thread.join().expect("no panic") <= 4 * step);
        std::fs::remove_dir_all(folder).expect("removed");
    }
}
