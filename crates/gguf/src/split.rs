//! Split models: `NAME-00001-of-00003.gguf` and its like, as llama.cpp's `gguf-split` writes them. Each part is a GGUF file; the
//! first has the model's metadata, every one has tensors of its own (the first perhaps none) and says which part it is.

use crate::directory::{Directory, TensorInfo};
use crate::error::{Error, Result};
use crate::layout::sort_names;

/// A file name's place among the parts of a split model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartName<'a> {
    stem: &'a str,
    /// Which part, from 1.
    pub number: u32,
    /// Parts in all.
    pub count: u32,
}

impl<'a> PartName<'a> {
    /// Reads `STEM-00002-of-00003.gguf`; None for any other name, and for the only part of one.
    pub fn parse(file_name: &'a str) -> Option<Self> {
        let (rest, count) = number_after(file_name.strip_suffix(".gguf")?, "-of-")?;
        let (stem, number) = number_after(rest, "-")?;
        let part = (1..=count).contains(&number) && count > 1;
        part.then_some(Self {
            stem,
            number,
            count,
        })
    }

    /// The names of all parts, in order.
    pub fn all(self) -> impl Iterator<Item = String> {
        let Self { stem, count, .. } = self;
        (1..=count).map(move |number| format!("{stem}-{number:05}-of-{count:05}.gguf"))
    }
}

/// What stands before `mark` and five digits at the end, and the number.
fn number_after<'a>(text: &'a str, mark: &str) -> Option<(&'a str, u32)> {
    let (rest, digits) = text.split_at_checked(text.len().checked_sub(5)?)?;
    let digits = Some(digits).filter(|d| d.bytes().all(|byte| byte.is_ascii_digit()))?;
    Some((rest.strip_suffix(mark)?, digits.parse().ok()?))
}

impl Directory {
    /// The directory of a split model, from those of all its parts in order, each with its file's length. Tensors' offsets are
    /// those in the files one after another. One part is what it was.
    ///
    /// # Errors
    /// [`Error::Split`] for a part that is another's place or another model's, [`Error::NameDup`], [`Error::SizeOverflow`].
    pub fn join(parts: impl IntoIterator<Item = (Self, u64)>) -> Result<Self> {
        let mut parts = parts.into_iter().collect::<Vec<_>>().into_iter();
        let count = u32::try_from(parts.len()).unwrap_or(u32::MAX);
        let (mut joined, mut end) = parts.next().ok_or(Error::Finished)?;
        if count == 1 {
            return Ok(joined);
        }
        joined.check_part(1, count)?;
        for (number, (part, bytes)) in (2..).zip(parts) {
            part.check_part(number, count)?;
            let begin = end;
            let too_large = || Error::SizeOverflow {
                what: "the parts together".to_owned(),
                at: 0,
            };
            end = begin
                .checked_add(bytes)
                .filter(|end| i64::try_from(*end).is_ok())
                .ok_or_else(too_large)?;
            joined
                .tensors
                .extend(part.tensors.into_iter().map(|tensor| TensorInfo {
                    offset: tensor.offset.saturating_add(begin),
                    ..tensor
                }));
        }
        joined.parts = count;
        joined.names = sort_names(&joined.tensors, |t| (&t.name, t.header_offset))?;
        if let Some(total) = joined.opt_u64("split.tensors.count")?
            && u64::try_from(joined.tensors.len()) != Ok(total)
        {
            return Err(Error::Split {
                part: 1,
                what: format!(
                    "it says {total} tensors in all, the parts have {}",
                    joined.tensors.len()
                ),
            });
        }
        Ok(joined)
    }

    fn check_part(&self, part: u32, count: u32) -> Result<()> {
        let wrong = |what| Err(Error::Split { part, what });
        match (self.opt_u32("split.no")?, self.opt_u32("split.count")?) {
            (Some(no), Some(of)) if no.checked_add(1) == Some(part) && of == count => Ok(()),
            (Some(no), Some(of)) => wrong(format!(
                "it says part {} of {of}, not {part} of {count}",
                u64::from(no).saturating_add(1)
            )),
            _ => wrong("it does not say that it is a part of a split model".to_owned()),
        }
    }
}
