//! The header reader: no panic on any bytes, and the same verdict however the file is cut into pieces.
#![no_main]

use chord_gguf::{Directory, Error, Limits, Parser, Progress};
use libfuzzer_sys::fuzz_target;

// The first byte says how the rest, the file, is cut.
fuzz_target!(|data: &[u8]| {
    let Some((&cut, file)) = data.split_first() else {
        return;
    };
    let whole = Directory::parse(file);
    let pieces = in_pieces(file, usize::from(cut));
    match (&whole, &pieces) {
        (Ok(a), Ok(b)) => assert!(**b == *a, "cut into {cut}: another directory"),
        (Err(a), Err(b)) => {
            assert_eq!((a.code(), a.offset()), (b.code(), b.offset()), "{a}\n{b}");
            assert!(!a.help().is_empty());
        }
        _ => panic!("cut into {cut}: {whole:?} but {pieces:?}"),
    }
    let Ok(directory) = whole else {
        return;
    };
    // Everything a reader may ask of an accepted header.
    for (key, value) in directory.metadata() {
        assert!(
            directory.get(key).is_some(),
            "{key:?} is listed and not found"
        );
        assert!(!value.describe().is_empty());
    }
    for tensor in directory.tensors() {
        assert!(directory.tensor(&tensor.name).is_some());
        assert!(tensor.offset >= directory.data_offset());
        assert_eq!(tensor.offset % u64::from(directory.alignment()), 0);
        assert_eq!(tensor.shape().iter().product::<u64>(), tensor.elements());
    }
    let len = u64::try_from(file.len()).unwrap();
    let fits = directory.tensors().iter().all(|tensor| tensor.end() <= len);
    // A file whose last byte of padding or data is cut is refused by one check and by the other.
    assert_eq!(
        Directory::parse_file(file).is_ok(),
        directory.check_file_len(len).is_ok()
    );
    assert!(fits || directory.check_file_len(len).is_err());
});

/// Feeds pieces whose lengths grow from `step` (0: 1 byte each), as a download would deliver them.
fn in_pieces(file: &[u8], step: usize) -> Result<Box<Directory>, Error> {
    let mut parser = Parser::new(Limits::DEFAULT);
    let (mut rest, mut size) = (file, step.max(1));
    while !rest.is_empty() {
        let (piece, later) = rest.split_at(size.min(rest.len()));
        if let Progress::Ready(directory) = parser.feed(piece)? {
            return Ok(directory);
        }
        rest = later;
        size += step;
    }
    parser.finish()
}
