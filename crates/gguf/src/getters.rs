//! Typed access to metadata. Each getter takes the key, so that its error can name it.
//!
//! `x(key)` wants the key present; `opt_x(key)` gives `None` when it is absent. A present key of the wrong type is an
//! error in both. Integers of any width are taken where the value fits.

use crate::directory::Directory;
use crate::error::{Error, Result, shown};
use crate::value::{Array, StrArray, Value, ValueType};

macro_rules! integer {
    ($name:ident, $opt:ident, $ty:ty) => {
        #[doc = concat!("The integer under `key`, which must fit a ", stringify!($ty), ".")]
        ///
        /// # Errors
        /// [`Error::MetaMissing`], [`Error::MetaType`], [`Error::MetaRange`].
        pub fn $name(&self, key: &str) -> Result<$ty> {
            required(key, self.$opt(key)?)
        }

        #[doc = concat!("The integer under `key` if it is there; it must fit a ", stringify!($ty), ".")]
        ///
        /// # Errors
        /// [`Error::MetaType`], [`Error::MetaRange`].
        pub fn $opt(&self, key: &str) -> Result<Option<$ty>> {
            let Some(value) = self.get(key) else { return Ok(None) };
            let found = value.as_int().ok_or_else(|| self.type_error(key, &value, "an integer"))?;
            let fits = <$ty>::try_from(found);
            fits.map(Some).map_err(|_| self.range_error(key, &found, concat!("a value that fits ", stringify!($ty))))
        }
    };
}

fn required<T>(key: &str, value: Option<T>) -> Result<T> {
    value.ok_or_else(|| Error::MetaMissing {
        key: key.to_owned(),
    })
}

impl Directory {
    integer!(u32, opt_u32, u32);
    integer!(u64, opt_u64, u64);
    integer!(i32, opt_i32, i32);

    /// The f32 under `key`, or an f64 rounded to one. It may be NaN or infinite: the reader of the value knows its range.
    ///
    /// # Errors
    /// [`Error::MetaMissing`], [`Error::MetaType`].
    pub fn f32(&self, key: &str) -> Result<f32> {
        required(key, self.opt_f32(key)?)
    }

    /// As [`f32`](Self::f32), `None` when the key is absent.
    ///
    /// # Errors
    /// [`Error::MetaType`].
    pub fn opt_f32(&self, key: &str) -> Result<Option<f32>> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::F32(value)) => Ok(Some(value)),
            #[expect(
                clippy::cast_possible_truncation,
                reason = "rounding to f32 is what is asked for; too large becomes infinite"
            )]
            Some(Value::F64(value)) => Ok(Some(value as f32)),
            Some(other) => Err(self.type_error(key, &other, "f32")),
        }
    }

    /// The boolean under `key`.
    ///
    /// # Errors
    /// [`Error::MetaMissing`], [`Error::MetaType`].
    pub fn bool(&self, key: &str) -> Result<bool> {
        required(key, self.opt_bool(key)?)
    }

    /// As [`bool`](Self::bool), `None` when the key is absent.
    ///
    /// # Errors
    /// [`Error::MetaType`].
    pub fn opt_bool(&self, key: &str) -> Result<Option<bool>> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Bool(value)) => Ok(Some(value)),
            Some(other) => Err(self.type_error(key, &other, "bool")),
        }
    }

    /// The text under `key`.
    ///
    /// # Errors
    /// [`Error::MetaMissing`], [`Error::MetaType`], [`Error::MetaUtf8`].
    pub fn str(&self, key: &str) -> Result<&str> {
        required(key, self.opt_str(key)?)
    }

    /// As [`str`](Self::str), `None` when the key is absent.
    ///
    /// # Errors
    /// [`Error::MetaType`], [`Error::MetaUtf8`].
    pub fn opt_str(&self, key: &str) -> Result<Option<&str>> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Str(bytes)) => match std::str::from_utf8(bytes) {
                Ok(text) => Ok(Some(text)),
                Err(_) => Err(Error::MetaUtf8 {
                    key: shown(key.as_bytes()),
                    at: self.at(key),
                }),
            },
            Some(other) => Err(self.type_error(key, &other, "string")),
        }
    }

    /// The array under `key`, of any element type.
    ///
    /// # Errors
    /// [`Error::MetaMissing`], [`Error::MetaType`].
    pub fn array(&self, key: &str) -> Result<Array<'_>> {
        required(key, self.opt_array(key, "an array", |_| true)?)
    }

    /// The array of strings under `key`.
    ///
    /// # Errors
    /// [`Error::MetaMissing`], [`Error::MetaType`].
    pub fn str_array(&self, key: &str) -> Result<StrArray<'_>> {
        required(key, self.opt_str_array(key)?)
    }

    /// As [`str_array`](Self::str_array), `None` when the key is absent.
    ///
    /// # Errors
    /// [`Error::MetaType`].
    pub fn opt_str_array(&self, key: &str) -> Result<Option<StrArray<'_>>> {
        let array = self.opt_array(key, "an array of strings", |elem| elem == ValueType::Str)?;
        Ok(array.and_then(|array| array.strings()))
    }

    /// The array of f32 under `key`, `None` when the key is absent.
    ///
    /// # Errors
    /// [`Error::MetaType`].
    pub fn opt_f32_array(
        &self,
        key: &str,
    ) -> Result<Option<impl ExactSizeIterator<Item = f32> + use<'_>>> {
        let array = self.opt_array(key, "an array of f32", |elem| elem == ValueType::F32)?;
        Ok(array.map(|array| {
            array
                .bytes
                .as_chunks::<4>()
                .0
                .iter()
                .map(|bytes| f32::from_le_bytes(*bytes))
        }))
    }

    /// The array of i32 under `key`, `None` when the key is absent.
    ///
    /// # Errors
    /// [`Error::MetaType`].
    pub fn opt_i32_array(
        &self,
        key: &str,
    ) -> Result<Option<impl ExactSizeIterator<Item = i32> + use<'_>>> {
        let array = self.opt_array(key, "an array of i32", |elem| elem == ValueType::I32)?;
        Ok(array.map(|array| {
            array
                .bytes
                .as_chunks::<4>()
                .0
                .iter()
                .map(|bytes| i32::from_le_bytes(*bytes))
        }))
    }

    fn opt_array(
        &self,
        key: &str,
        want: &'static str,
        fits: impl Fn(ValueType) -> bool,
    ) -> Result<Option<Array<'_>>> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Array(array)) if fits(array.elem()) => Ok(Some(array)),
            Some(other) => Err(self.type_error(key, &other, want)),
        }
    }

    /// An [`Error::MetaRange`] for `key`, placed at its value: for callers that know what range makes sense.
    pub fn range_error(
        &self,
        key: &str,
        found: &dyn std::fmt::Display,
        want: impl Into<String>,
    ) -> Error {
        // The value lies 4 bytes behind its type.
        let at = self.at(key).saturating_add(4);
        Error::MetaRange {
            key: shown(key.as_bytes()),
            at,
            found: found.to_string(),
            want: want.into(),
        }
    }

    /// An [`Error::MetaType`] for `key`, placed at its type field.
    pub fn type_error(&self, key: &str, found: &Value<'_>, want: &'static str) -> Error {
        Error::MetaType {
            key: shown(key.as_bytes()),
            at: self.at(key),
            found: found.describe(),
            want,
        }
    }

    fn at(&self, key: &str) -> u64 {
        self.value_offset(key).unwrap_or(0)
    }
}
