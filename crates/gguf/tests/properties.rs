//! Rows 59 and 60 and their kin: every cut, every flipped bit, every way of feeding, and what it costs.
//!
//! A counting allocator measures the bytes held by each parse on its own thread. It grows blocks by copying, as the
//! worst of allocators does.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::time::{Duration, Instant};

use chord_gguf::write::{FileSpec, WriteValue, tiny_llama};
use chord_gguf::{Directory, Error, Limits, Parser, Progress};

struct Counting;

thread_local! {
    static HELD: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

fn count(bytes: isize) {
    // A thread that is ending has no counters any more; nothing is measured there.
    let _ = HELD.try_with(|held| {
        held.set(held.get() + bytes);
        PEAK.with(|peak| peak.set(peak.get().max(held.get())));
    });
}

// SAFETY: every call is passed on to `System` unchanged; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: the caller's promises are `System`'s.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: the caller's promises are `System`'s.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The most that `work` held at once beyond what was there before, bytes, and how long it took. On a busy machine a
/// short piece of work may be interrupted, so what seems slow is tried again.
fn cost<T>(work: impl Fn() -> T) -> (T, isize, Duration) {
    let mut tries = 0;
    loop {
        tries += 1;
        let before = HELD.get();
        PEAK.set(before);
        let start = Instant::now();
        let result = work();
        let time = start.elapsed();
        if time < MOST_TIME || tries == 5 {
            return (result, PEAK.get() - before, time);
        }
    }
}

const MOST_HELD: isize = 64 << 20;
const MOST_TIME: Duration = Duration::from_millis(50);

/// splitmix64: small, seeded, good enough to pick places and lengths.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }
}

/// Feeds `bytes`, cut into pieces by `piece`, to a parser that is told the length or not.
fn feed(
    bytes: &[u8],
    told: bool,
    mut piece: impl FnMut(usize) -> usize,
) -> Result<Directory, Error> {
    let mut parser = Parser::new(Limits::DEFAULT);
    if told {
        parser = parser.with_file_len(bytes.len() as u64);
    }
    let mut rest = bytes;
    while !rest.is_empty() {
        let (now, later) = rest.split_at(piece(rest.len()).clamp(1, rest.len()));
        if let Progress::Ready(directory) = parser.feed(now)? {
            return Ok(*directory);
        }
        rest = later;
    }
    parser.finish().map(|directory| *directory)
}

#[test]
fn cut_at_every_byte_is_an_error() {
    let bytes = tiny_llama().to_bytes();
    for end in 0..bytes.len() {
        let cut = &bytes[..end];
        let (result, held, time) = cost(|| Directory::parse_file(cut));
        let error = result.expect_err("a cut file was accepted");
        // A string's length is seen before the string is: both codes say that the file is short.
        assert!(
            ["E_TRUNCATED", "E_STRING_LEN", "E_ARR_LEN", "E_COUNT"].contains(&error.code()),
            "{end}: {error}"
        );
        assert!(
            error.offset().is_some_and(|at| at <= bytes.len() as u64),
            "{end}: {error}"
        );
        assert!(
            held < MOST_HELD && time < MOST_TIME,
            "{end}: {held} B, {time:?}"
        );

        let by_prefix =
            Directory::parse(cut).and_then(|directory| directory.check_file_len(end as u64));
        assert!(by_prefix.is_err(), "{end}");
    }
}

#[test]
fn every_flipped_bit_is_ok_or_a_typed_error() {
    let built = tiny_llama().build();
    let mut bytes = built.bytes;
    let (mut accepted, mut refused) = (0, 0);
    for bit in 0..built.data_at as usize * 8 {
        bytes[bit / 8] ^= 1 << (bit % 8);
        for told in [true, false] {
            let (result, held, time) = cost(|| feed(&bytes, told, |left| left));
            assert!(
                held < MOST_HELD && time < MOST_TIME,
                "bit {bit}: {held} B, {time:?}"
            );
            match result {
                Ok(_) => accepted += 1,
                Err(error) => {
                    refused += 1;
                    assert!(
                        error.code().starts_with("E_") && !error.help().is_empty(),
                        "bit {bit}: {error}"
                    );
                    assert!(
                        !error.to_string().chars().any(char::is_control),
                        "bit {bit}: {error:?}"
                    );
                }
            }
        }
        bytes[bit / 8] ^= 1 << (bit % 8);
    }
    // Flips inside values and names go unseen here; those of lengths, counts, types and offsets do not.
    assert!(
        accepted > 1000 && refused > 1000,
        "{accepted} accepted, {refused} refused"
    );
}

#[test]
fn any_way_of_feeding_gives_the_one_shot_result() {
    let mut random = Random(1);
    let whole = tiny_llama().to_bytes();
    let one_shot = Directory::parse_file(&whole);
    assert!(one_shot.is_ok());
    assert_eq!(feed(&whole, true, |_| 1), one_shot);
    assert_eq!(feed(&whole, false, |_| 1), one_shot);
    for boundary in 0..whole.len() {
        let mut first = true;
        let cut = |left: usize| {
            if std::mem::take(&mut first) {
                boundary
            } else {
                left
            }
        };
        assert_eq!(feed(&whole, false, cut), one_shot, "cut at {boundary}");
    }
    for _ in 0..2000 {
        let mut bytes = whole.clone();
        for _ in 0..random.below(4) {
            let at = random.below(2048);
            bytes[at] = random.next() as u8;
        }
        bytes.truncate(bytes.len() - random.below(2) * random.below(bytes.len()));
        for told in [true, false] {
            let want = feed(&bytes, told, |left| left);
            let most = 1 + random.below(300);
            assert_eq!(feed(&bytes, told, |_| 1 + random.below(most)), want);
        }
    }
}

#[test]
fn random_damage_never_panics_and_stays_small() {
    let mut random = Random(2);
    let base = tiny_llama().build();
    // Values that mean something to a parser, more often than random bytes would be.
    let words = [
        0,
        1,
        4,
        8,
        9,
        13,
        32,
        255,
        1 << 20,
        1 << 31,
        1 << 32,
        1 << 40,
        1 << 61,
        u64::MAX >> 1,
        u64::MAX,
    ];
    for round in 0..20_000 {
        let mut bytes = base.bytes.clone();
        for _ in 0..=random.below(3) {
            let at = random.below(base.data_at as usize - 8);
            let width = [1, 4, 8][random.below(3)];
            let word = words[random.below(words.len())].to_le_bytes();
            bytes[at..at + width].copy_from_slice(&word[..width]);
        }
        let (result, held, time) = cost(|| Directory::parse_file(&bytes));
        assert!(
            held < MOST_HELD && time < MOST_TIME,
            "round {round}: {held} B, {time:?}"
        );
        if let Ok(directory) = result {
            // What was accepted can be read from end to end.
            for (key, value) in directory.metadata() {
                assert_eq!(directory.get(key).map(|v| v.ty()), Some(value.ty()));
                if let chord_gguf::Value::Array(array) = value {
                    assert_eq!(array.iter().count(), array.len());
                }
            }
            assert!(
                directory
                    .tensors()
                    .iter()
                    .all(|tensor| tensor.end() <= bytes.len() as u64)
            );
        }
    }
}

/// Feeds `piece` over and over, so that no file of the size needs to be held by the test.
fn endless(head: &[u8], piece: &[u8]) -> Error {
    let mut parser = Parser::new(Limits::DEFAULT);
    let mut next = head;
    for _ in 0..1_000_000 {
        match parser.feed(next) {
            Ok(_) => next = piece,
            Err(error) => return error,
        }
    }
    panic!("still reading");
}

#[test]
fn headers_without_end_hold_less_than_64_mib() {
    // Sixteen million empty strings, a string of the largest size over and over, and as many keys as there may be.
    let mut strings = FileSpec {
        layout_alignment: 1,
        ..FileSpec::default()
    };
    strings.push(
        "a",
        WriteValue::RawArray {
            elem: 8,
            len: 16 << 20,
            payload: vec![],
        },
    );
    let mut long = FileSpec {
        layout_alignment: 1,
        ..FileSpec::default()
    };
    long.push(
        "a",
        WriteValue::RawArray {
            elem: 8,
            len: 16 << 20,
            payload: (16_u64 << 20).to_le_bytes().to_vec(),
        },
    );
    let many = FileSpec {
        n_kv: Some(65_536),
        layout_alignment: 1,
        ..FileSpec::default()
    };
    let mut big_key = FileSpec {
        n_kv: Some(65_536),
        layout_alignment: 1,
        ..FileSpec::default()
    };
    big_key.push(&"k".repeat(65_000), WriteValue::U8(1));

    let zeros = vec![0_u8; 1 << 20];
    let entry = big_key.to_bytes()[24..].to_vec();
    for (name, head, piece, code) in [
        ("empty strings", strings.to_bytes(), &zeros, "E_HEADER_SIZE"),
        ("long strings", long.to_bytes(), &zeros, "E_HEADER_SIZE"),
        ("large keys", many.to_bytes(), &entry, "E_HEADER_SIZE"),
    ] {
        let (error, held, _) = cost(|| endless(&head, piece));
        assert_eq!(error.code(), code, "{name}: {error}");
        assert!(held < MOST_HELD, "{name}: {held} B");
    }
}

#[test]
fn as_many_keys_and_tensors_as_allowed_fit_the_budget() {
    use chord_gguf::write::TensorSpec;
    let mut spec = FileSpec::default();
    for index in 0..65_536 {
        spec.push(&format!("some.key.with.a.name.{index}"), WriteValue::U8(1));
        spec.tensors.push(TensorSpec::f32(
            &format!("blk.{index}.some_tensor_with_a_long_name.weight"),
            &[8],
            &[0.0; 8],
        ));
    }
    let bytes = spec.to_bytes();
    let (directory, held, _) = cost(|| Directory::parse_file(&bytes).unwrap());
    assert_eq!(
        (directory.n_kv(), directory.tensors().len()),
        (65_536, 65_536)
    );
    assert_eq!(
        directory.get("some.key.with.a.name.40000"),
        Some(chord_gguf::Value::U8(1))
    );
    assert_eq!(
        directory.tensor("blk.7.some_tensor_with_a_long_name.weight"),
        Some(&directory.tensors()[7])
    );
    assert!(held < MOST_HELD, "{held} B");
    // One more of either is refused.
    spec.push("one.more", WriteValue::U8(1));
    assert_eq!(
        Directory::parse_file(&spec.to_bytes()).unwrap_err().code(),
        "E_COUNT"
    );
}

#[test]
fn a_large_vocabulary_costs_its_bytes_once() {
    let tokens: Vec<Vec<u8>> = (0..262_144)
        .map(|id| format!("token{id}").into_bytes())
        .collect();
    let mut spec = FileSpec::default();
    spec.push(
        "tokenizer.ggml.tokens",
        WriteValue::StrArray(tokens.clone()),
    );
    let bytes = spec.to_bytes();
    let before = HELD.get();
    let directory = Directory::parse_file(&bytes).unwrap();
    let held = HELD.get() - before;
    let strings = directory.str_array("tokenizer.ggml.tokens").unwrap();
    assert!(strings.iter().eq(tokens.iter().map(Vec::as_slice)));
    assert_eq!(strings.get(200_001), Some(&tokens[200_001][..]));
    assert!(
        held < bytes.len() as isize * 13 / 10,
        "{held} B held for {} B",
        bytes.len()
    );
}
