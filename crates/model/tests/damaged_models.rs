//! A damaged header ends in a configuration or a typed error, never in a panic, and an accepted one makes sense.

use chord_gguf::Directory;
use chord_gguf::write::tiny_llama;
use chord_model::config::Config;
use chord_model::error::Error;

/// What every accepted configuration promises the engine.
fn check(bytes: &[u8]) -> Result<(), Error> {
    let config = Config::from_directory(&Directory::parse_file(bytes)?)?;
    assert!(config.n_layers >= 1 && config.n_vocab >= 1 && config.context_length >= 1);
    assert_eq!(config.n_heads % config.n_kv_heads, 0);
    assert!(config.rms_eps.is_finite() && config.rms_eps >= 0.0);
    let (angles, magnitude) = config.rope.inv_freq(None);
    assert_eq!(angles.len(), config.head_dim as usize / 2);
    assert!(
        magnitude.is_finite()
            && angles
                .iter()
                .all(|angle| angle.is_finite() && *angle >= 0.0),
        "{:?}",
        config.rope
    );
    Ok(())
}

#[test]
fn every_flipped_bit() {
    let built = tiny_llama().build();
    let mut bytes = built.bytes;
    let (mut accepted, mut refused) = (0, 0);
    for bit in 0..built.data_at as usize * 8 {
        bytes[bit / 8] ^= 1 << (bit % 8);
        match check(&bytes) {
            Ok(()) => accepted += 1,
            Err(error) => {
                refused += 1;
                assert!(
                    error.code().starts_with("E_") && !error.help().is_empty(),
                    "bit {bit}: {error}"
                );
            }
        }
        bytes[bit / 8] ^= 1 << (bit % 8);
    }
    // Flips in token texts and the template pass; those in keys, sizes and tensor names do not.
    assert!(
        accepted > 1000 && refused > 1000,
        "{accepted} accepted, {refused} refused"
    );
}

#[test]
fn every_cut() {
    let bytes = tiny_llama().to_bytes();
    for end in 0..bytes.len() {
        assert!(check(&bytes[..end]).is_err(), "{end}");
    }
    check(&bytes).unwrap();
}

#[test]
fn every_four_bytes_overwritten() {
    let built = tiny_llama().build();
    for at in 0..built.data_at as usize - 4 {
        for word in [0, 1, 8, 0x7f80_0000, 0x7fff_ffff, 0x8000_0000, u32::MAX] {
            let mut bytes = built.bytes.clone();
            bytes[at..at + 4].copy_from_slice(&u32::to_le_bytes(word));
            if let Err(error) = check(&bytes) {
                assert!(error.code().starts_with("E_"), "{error}");
            }
        }
    }
}
