//! The package's sources as the engine reads them.

use chord_runtime::ModelSource;
use std::cell::RefCell;
use std::io;
use wasm_bindgen::JsCast;
use wasm_bindgen::prelude::*;

#[wasm_bindgen(typescript_custom_section)]
const SOURCE: &str = "
/** The bytes of a model; reads go forwards. */
export interface Source {
  /** Bytes of the file; null while nobody knows. */
  readonly size: number | null;
  /** What it gives is copied at once. */
  read(offset: number, length: number): Promise<Uint8Array>;
  /** Bytes of each part of a split model, which follow one another here; absent for a whole file. */
  readonly parts?: number[];
  /** As `read`, from the beginning of a part; for the headers of parts behind the first. */
  readHeader?(part: number, offset: number, length: number): Promise<Uint8Array>;
}";

#[wasm_bindgen]
extern "C" {
    /// `Source` of the section above.
    #[wasm_bindgen(typescript_type = "Source")]
    pub type Source;

    #[wasm_bindgen(method, getter)]
    fn size(this: &Source) -> Option<f64>;

    #[wasm_bindgen(method, catch)]
    async fn read(this: &Source, offset: f64, length: u32) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(method, getter)]
    fn parts(this: &Source) -> Option<Vec<f64>>;

    #[wasm_bindgen(method, catch, js_name = readHeader)]
    async fn read_header(
        this: &Source,
        part: u32,
        offset: f64,
        length: u32,
    ) -> Result<JsValue, JsValue>;
}

/// A [`Source`], and what it threw last.
pub(crate) struct JsSource {
    source: Source,
    error: RefCell<Option<JsValue>>,
}

impl JsSource {
    pub(crate) fn new(source: Source) -> Self {
        Self {
            source,
            error: RefCell::default(),
        }
    }

    /// What the source gave, or keeps what it threw.
    fn fill(&self, buf: &mut [u8], read: Result<JsValue, JsValue>) -> io::Result<()> {
        let bytes = match read {
            // The type section above says what it is; a constructor would copy it.
            Ok(bytes) => bytes.unchecked_into::<js_sys::Uint8Array>(),
            Err(thrown) => {
                *self.error.borrow_mut() = Some(thrown);
                return Err(io::Error::other("the source failed"));
            }
        };
        if usize::try_from(bytes.length()) != Ok(buf.len()) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        bytes.copy_to(buf);
        Ok(())
    }

    pub(crate) fn take_error(&self) -> Option<JsValue> {
        self.error.borrow_mut().take()
    }
}

impl ModelSource for JsSource {
    fn size(&self) -> Option<u64> {
        // JavaScript's numbers are exact up to 2^53; a negative one or NaN becomes 0.
        self.source.size().map(|size| size as u64)
    }

    async fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let length = u32::try_from(buf.len()).map_err(io::Error::other)?;
        self.fill(buf, self.source.read(offset as f64, length).await)
    }

    fn parts(&self) -> Vec<u64> {
        let parts = self.source.parts().unwrap_or_default();
        parts.into_iter().map(|size| size as u64).collect()
    }

    async fn read_part_header(&self, part: usize, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let length = u32::try_from(buf.len()).map_err(io::Error::other)?;
        let part = u32::try_from(part).map_err(io::Error::other)?;
        let read = self.source.read_header(part, offset as f64, length).await;
        self.fill(buf, read)
    }
}
