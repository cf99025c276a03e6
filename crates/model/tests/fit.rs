//! What a context costs, and which contexts are refused before anything is allocated.

use chord_gguf::Directory;
use chord_gguf::write::{WriteValue, tiny_llama};
use chord_kernels::KvType;
use chord_model::{CHUNK, Config, DeviceLimits, Error, FitPlan};

fn fit(trained: u32, context: Option<u32>, limits: Option<DeviceLimits>) -> Result<FitPlan, Error> {
    let mut spec = tiny_llama();
    spec.set("llama.context_length", WriteValue::U32(trained));
    let directory = Directory::parse_file(&spec.to_bytes())?;
    let config = Config::from_directory(&directory)?;
    assert_eq!(config.trained_context, trained);
    FitPlan::from_header(&directory, &config, KvType::F16, context, limits.as_ref())
}

fn limits(bytes: u64) -> Option<DeviceLimits> {
    Some(DeviceLimits {
        max_binding: bytes,
        max_buffer: bytes,
        chunk: CHUNK,
    })
}

#[test]
fn more_than_the_models_context_is_refused_with_both_figures() {
    assert_eq!(fit(64, Some(64), None).unwrap().context, 64);
    for device in [None, limits(1 << 30)] {
        let error = fit(64, Some(65), device).unwrap_err();
        assert_eq!(error, Error::ContextTooLong { asked: 65, max: 64 });
        assert_eq!((error.code(), error.offset()), ("E_CTX", None));
        assert!(
            error.help().contains("64 tokens or less"),
            "{}",
            error.help()
        );
    }
    // The reader's own limit counts, not what the file claims.
    let error = fit(u32::MAX, Some((1 << 20) + 1), None).unwrap_err();
    let (asked, max) = ((1 << 20) + 1, 1 << 20);
    assert_eq!(error, Error::ContextTooLong { asked, max });
}

/// T0 stores 2 KV heads of 8 values in f16: 32 bytes a token for K, 1 KiB a page of 32 tokens.
#[test]
fn the_binding_limit_cuts_the_context_and_is_the_reason() {
    // Room for 64 pages of K, and for everything else of T0.
    let device = limits(64 << 10);
    let plan = fit(4096, None, device).unwrap();
    assert_eq!((plan.kv_page_bytes, plan.context), (1 << 10, 64 * 32));
    assert!(plan.verdict.fits, "{:?}", plan.verdict);
    assert_eq!(plan.kv_bytes, 2 * (64 << 10));
    let plan = fit(4096, Some(64 * 32 + 1), device).unwrap();
    assert!(!plan.verdict.fits);
    assert!(
        plan.verdict.reasons[0].contains("2049") && plan.verdict.reasons[0].contains("2048"),
        "{:?}",
        plan.verdict
    );
    let reasons = plan.verdict.reasons;
    let error = Error::Fit {
        reasons: reasons.clone(),
    };
    assert_eq!(error.code(), "E_FIT");
    assert_eq!(error.to_string(), reasons.join("; "));
}

#[test]
fn limits_of_nothing_and_of_everything_are_no_arithmetic_fault() {
    let none = fit(4096, None, limits(0)).unwrap();
    assert!(!none.verdict.fits && none.context == 1, "{none:?}");
    let all = fit(u32::MAX, None, limits(u64::MAX)).unwrap();
    assert!(all.verdict.fits && all.context == 1 << 20);
    let parts = all.weights_bytes + all.kv_bytes + all.scratch_bytes;
    assert_eq!(parts, all.total_bytes);
}
