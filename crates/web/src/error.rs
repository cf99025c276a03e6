//! Errors as JavaScript objects.

use crate::source::JsSource;
use chord_runtime::Error;
use wasm_bindgen::{JsCast, JsValue};

/// An `Error` with `code` and `help`.
pub(crate) fn to_js(error: &Error) -> JsValue {
    of(error.code(), &error.to_string(), &error.help())
}

pub(crate) fn of(code: &str, message: &str, help: &str) -> JsValue {
    let error: JsValue = js_sys::Error::new(message).unchecked_into();
    for (key, value) in [("code", code), ("help", help)] {
        // Setting a property of an object made here cannot fail.
        let _ = js_sys::Reflect::set(&error, &key.into(), &value.into());
    }
    error
}

/// A failure while reading is the source's own, which knows more than that reading failed.
pub(crate) fn reading(error: &Error, source: &JsSource) -> JsValue {
    match (error, source.take_error()) {
        (Error::Read { .. }, Some(own)) => own,
        _ => to_js(error),
    }
}

/// JSON that is not of the promised shape: the package's own fault.
pub(crate) fn shape(error: &serde_json::Error) -> JsValue {
    of(
        "E_PROTOCOL",
        &format!("the engine was asked in a shape it does not know: {error}"),
        "this is a fault of the package: its parts are of different versions",
    )
}
