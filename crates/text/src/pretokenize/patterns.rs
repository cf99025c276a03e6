//! The patterns of the families, as the rules of `engine`. Above each, the regular expressions that llama.cpp gives the
//! family; where its own hand-written matchers or its general one (which sees categories, not letters) deviate from
//! what is written there, the rules follow the matchers.

use super::engine::Stage::{Find, ThreesFromTheRight, TrailingSpace};
use super::engine::{Part, Rule, Set, Stage, any, exactly, maybe, one, some, up_to};
use super::ranges;
use crate::classes::Class;

const LETTER: u8 = Class::Letter as u8;
const MARK: u8 = Class::Mark as u8;
const NUMBER: u8 = Class::Number as u8;
const PUNCTUATION: u8 = Class::Punctuation as u8;
const SYMBOL: u8 = Class::Symbol as u8;
const NEWLINE: u8 = Class::Newline as u8;
const WHITE: u8 = Class::Space as u8 | NEWLINE;
const ALL: u8 = u8::MAX;

const fn set(classes: u8) -> Set {
    Set::of(classes)
}

const SPACE: Set = Set::ranges(&[(0x20, 0x20)]);
const LETTERS: Set = set(LETTER);
const NUMBERS: Set = set(NUMBER);
const NEWLINES: Set = set(NEWLINE);
/// `[^\s\p{L}\p{N}]`
const OTHERS: Set = set(ALL & !(WHITE | LETTER | NUMBER));
/// `[^\r\n\p{L}\p{N}]`
const LEAD: Set = set(ALL & !(NEWLINE | LETTER | NUMBER));
const LETTERS_MARKS: Set = set(LETTER | MARK);
const DIGITS: Set = Set::ranges(&[(0x30, 0x39)]);
const ASCII_LETTERS: Set = Set::ranges(&[(0x41, 0x5A), (0x61, 0x7A)]);

const CONTRACTION: Rule = &[Part::Contraction {
    any_case: true,
    optional: false,
}];
const SUFFIX: Part = Part::Contraction {
    any_case: true,
    optional: true,
};
/// `[^\r\n\p{L}\p{N}]?\p{L}+`
const WORD: Rule = &[maybe(LEAD), some(LETTERS)];
/// ` ?[^\s\p{L}\p{N}]+`
const SIGNS: Rule = &[maybe(SPACE), some(OTHERS)];
/// ` ?[^\s\p{L}\p{N}]+[\r\n]*`
const SIGNS_TO_NEWLINE: Rule = &[maybe(SPACE), some(OTHERS), any(NEWLINES)];
/// ` ?[^\s\p{L}\p{N}]+[\r\n/]*`
const SIGNS_TO_SLASH: Rule = &[
    maybe(SPACE),
    some(OTHERS),
    any(NEWLINES.plus(&[(0x2F, 0x2F)])),
];
/// `\s*[\r\n]+`
const BLANK_LINES: Rule = &[any(set(WHITE)), some(NEWLINES)];
const SPACES: Rule = &[Part::Spaces];
/// `\p{N}`
const EACH_NUMBER: Rule = &[one(NUMBERS)];
/// `\p{N}{1,3}`
const THREE_NUMBERS: Rule = &[up_to(3, NUMBERS)];

/// `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)`, and `\s+` for what is left.
const GPT2_WORDS: Stage = Find(&[
    &[Part::Contraction {
        any_case: false,
        optional: false,
    }],
    &[maybe(SPACE), some(LETTERS)],
    &[maybe(SPACE), some(NUMBERS)],
    SIGNS,
    SPACES,
]);
pub(super) const GPT2: &[Stage] = &[GPT2_WORDS];

/// `\p{N}`, then GPT-2's.
pub(super) const STARCODER: &[Stage] = &[Find(&[EACH_NUMBER]), GPT2_WORDS];

/// `[\p{P}\$\+<=>\^~\|`]+`, GPT-2's, `[0-9][0-9][0-9]`
pub(super) const FALCON: &[Stage] = &[
    Find(&[&[some(set(PUNCTUATION).plus(ranges::ASCII_SYMBOLS))]]),
    GPT2_WORDS,
    Find(&[&[exactly(3, DIGITS)]]),
];

/// `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
pub(super) const LLAMA3: &[Stage] = &[Find(&[
    CONTRACTION,
    WORD,
    THREE_NUMBERS,
    SIGNS_TO_NEWLINE,
    BLANK_LINES,
    SPACES,
])];

/// Llama 3's with `\p{N}`.
const QWEN2_WORDS: Stage = Find(&[
    CONTRACTION,
    WORD,
    EACH_NUMBER,
    SIGNS_TO_NEWLINE,
    BLANK_LINES,
    SPACES,
]);
pub(super) const QWEN2: &[Stage] = &[QWEN2_WORDS];

/// `[^\n]+|[\n]+`, then Qwen 2's.
pub(super) const LAGUNA: &[Stage] = &[Find(&[&[some(Set::ranges(&[(0x0A, 0x0A)]))]]), QWEN2_WORDS];

/// `\p{N}{1,3}`, then Llama 3's with `\p{N}+`.
pub(super) const MINICPM5: &[Stage] = &[
    Find(&[THREE_NUMBERS]),
    Find(&[
        CONTRACTION,
        WORD,
        &[some(NUMBERS)],
        SIGNS_TO_NEWLINE,
        BLANK_LINES,
        SPACES,
    ]),
];

/// Qwen 2's without contractions.
pub(super) const UFAKZEKA: &[Stage] = &[Find(&[
    WORD,
    EACH_NUMBER,
    SIGNS_TO_NEWLINE,
    BLANK_LINES,
    SPACES,
])];

/// Qwen 2's with ` ?[^\s\p{L}\p{N}\r\n]+` for signs.
pub(super) const SEED_CODER: &[Stage] = &[Find(&[
    CONTRACTION,
    WORD,
    EACH_NUMBER,
    SIGNS,
    BLANK_LINES,
    SPACES,
])];

/// Qwen 2's with `\s*[\r\n]`.
pub(super) const BAILINGMOE: &[Stage] = &[Find(&[
    CONTRACTION,
    WORD,
    EACH_NUMBER,
    SIGNS_TO_NEWLINE,
    &[any(set(WHITE)), one(NEWLINES)],
    SPACES,
])];

/// `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
pub(super) const QWEN35: &[Stage] = &[Find(&[
    CONTRACTION,
    &[maybe(LEAD), some(LETTERS_MARKS)],
    EACH_NUMBER,
    &[
        maybe(SPACE),
        some(set(ALL & !(WHITE | LETTER | MARK | NUMBER))),
        any(NEWLINES),
    ],
    BLANK_LINES,
    SPACES,
])];

/// `(?=[\p{L}])([^a-z])`: beyond ASCII, a letter of any case counts as both.
const UPPER: Set = LETTERS.minus(&[(0x61, 0x7A)]);
/// `(?=[\p{L}])([^A-Z])`
const LOWER: Set = LETTERS.minus(&[(0x41, 0x5A)]);
/// `[^\r\n\p{L}\p{N}]?` UPPER`*` LOWER`+`
const TO_LOWER: Rule = &[maybe(LEAD), any(UPPER), some(LOWER)];
/// `[^\r\n\p{L}\p{N}]?` UPPER`+` LOWER`*`
const FROM_UPPER: Rule = &[maybe(LEAD), some(UPPER), any(LOWER)];

/// Two rules for words by case, then `\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+`
pub(super) const TEKKEN: &[Stage] = &[Find(&[
    TO_LOWER,
    FROM_UPPER,
    EACH_NUMBER,
    SIGNS_TO_SLASH,
    BLANK_LINES,
    SPACES,
])];

/// Tekken's with `(?i:'s|'t|'re|'ve|'m|'ll|'d)?` behind a word and `\p{N}{1,3}`.
pub(super) const GPT4O: &[Stage] = &[Find(&[
    &[maybe(LEAD), any(UPPER), some(LOWER), SUFFIX],
    &[maybe(LEAD), some(UPPER), any(LOWER), SUFFIX],
    THREE_NUMBERS,
    SIGNS_TO_SLASH,
    BLANK_LINES,
    SPACES,
])];

const UPPER_MARKS: Set = LETTERS_MARKS.minus(&[(0x61, 0x7A)]);
const LOWER_MARKS: Set = LETTERS_MARKS.minus(&[(0x41, 0x5A)]);

/// GPT-4o's with `[\p{L}\p{M}]` for `\p{L}` inside words.
pub(super) const GRANITE_EMBED: &[Stage] = &[Find(&[
    &[maybe(LEAD), any(UPPER_MARKS), some(LOWER_MARKS), SUFFIX],
    &[maybe(LEAD), some(UPPER_MARKS), any(LOWER_MARKS), SUFFIX],
    THREE_NUMBERS,
    SIGNS_TO_SLASH,
    BLANK_LINES,
    SPACES,
])];

/// What `[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+` is to a matcher that does not tell cases apart.
const CASELESS_WORD: Rule = &[maybe(LEAD), some(LETTERS_MARKS), SUFFIX];

/// Numbers in threes, then GPT-4o's written with letter categories.
pub(super) const TINY_AYA: &[Stage] = &[
    ThreesFromTheRight,
    Find(&[
        CASELESS_WORD,
        THREE_NUMBERS,
        SIGNS_TO_SLASH,
        BLANK_LINES,
        SPACES,
    ]),
];

/// `[가-힣ㄱ-ㆎ]+|[！…“”‘’—：；，、-〿︰-﹏]+|[ㄅ-ㄯ]+|[一-龥぀-ゟ゠-ヿ]+`, then GPT-4o's written with letter categories and `\p{N}`.
pub(super) const YOUTU: &[Stage] = &[
    Find(&[
        &[some(Set::ranges(ranges::HANGUL))],
        &[some(Set::ranges(ranges::CJK_PUNCTUATION))],
        &[some(Set::ranges(ranges::BOPOMOFO))],
        &[some(Set::ranges(ranges::HAN_KANA))],
    ]),
    Find(&[
        CASELESS_WORD,
        EACH_NUMBER,
        SIGNS_TO_SLASH,
        BLANK_LINES,
        SPACES,
    ]),
];

const HAN: Set = Set::ranges(ranges::HAN);
const LETTERS_NOT_HAN: Set = LETTERS.minus(ranges::HAN);

/// `\p{Han}+`, then GPT-4o's over letters that are not Han, cases not told apart, with Llama 3's signs.
pub(super) const KIMI_K2: &[Stage] = &[Find(&[
    &[some(HAN)],
    &[maybe(LEAD), some(LETTERS_NOT_HAN), SUFFIX],
    THREE_NUMBERS,
    SIGNS_TO_NEWLINE,
    BLANK_LINES,
    SPACES,
])];

/// ``[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+``
const SIGN_AND_ASCII: Rule = &[one(Set::ranges(ranges::ASCII_SIGNS)), some(ASCII_LETTERS)];
/// `[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+`
const WORD_AFTER_SPACE: Rule = &[
    maybe(set(ALL & !(NEWLINE | LETTER | PUNCTUATION | SYMBOL))),
    some(LETTERS_MARKS),
];
const SIGNS_BY_NAME: Set = set(PUNCTUATION | SYMBOL);

/// The two rules above, then ` ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
const DEEPSEEK_V3_WORDS: Stage = Find(&[
    SIGN_AND_ASCII,
    WORD_AFTER_SPACE,
    &[maybe(SPACE), some(SIGNS_BY_NAME), any(NEWLINES)],
    BLANK_LINES,
    SPACES,
]);

/// `\p{N}{1,3}`, `[一-龥぀-ゟ゠-ヿ]+`, the words above.
pub(super) const DEEPSEEK_V3: &[Stage] = &[
    Find(&[THREE_NUMBERS]),
    Find(&[&[some(Set::ranges(ranges::HAN_KANA))]]),
    DEEPSEEK_V3_WORDS,
];

/// DeepSeek V3's with ` ?[\p{P}\p{S}]+|[\r\n]` and numbers alone at last.
pub(super) const SPARK: &[Stage] = &[
    Find(&[THREE_NUMBERS]),
    Find(&[&[some(Set::ranges(ranges::HAN_KANA))]]),
    Find(&[
        SIGN_AND_ASCII,
        WORD_AFTER_SPACE,
        &[maybe(SPACE), some(SIGNS_BY_NAME)],
        &[one(NEWLINES)],
        SPACES,
    ]),
    Find(&[EACH_NUMBER]),
];

/// Numbers in threes, runs of Asian scripts, DeepSeek V3's words.
pub(super) const AFMOE: &[Stage] = &[
    ThreesFromTheRight,
    Find(&[&[some(Set::ranges(ranges::ASIAN))]]),
    DEEPSEEK_V3_WORDS,
];

/// `[\r\n]`, `\s?[`letters by range`]+`, `\s?[!-/:-~！-／：-～‘-‟　-。]+`, `\s+$`, `[一-龥ࠀ-一가-퟿]+`, `\p{N}+`
pub(super) const DEEPSEEK_LLM: &[Stage] = &[
    Find(&[&[one(NEWLINES)]]),
    Find(&[&[
        maybe(set(WHITE)),
        some(Set::ranges(ranges::DEEPSEEK_LETTERS)),
    ]]),
    Find(&[&[maybe(set(WHITE)), some(Set::ranges(ranges::DEEPSEEK_SIGNS))]]),
    TrailingSpace,
    Find(&[&[some(Set::ranges(ranges::DEEPSEEK_ASIAN))]]),
    Find(&[&[some(NUMBERS)]]),
];

/// `[\r\n]`, `\s?\p{L}+`, `\s?\p{P}+`, `[一-龥ࠀ-一가-퟿]+`, `\p{N}`
pub(super) const DEEPSEEK_CODER: &[Stage] = &[
    Find(&[&[one(NEWLINES)]]),
    Find(&[&[maybe(set(WHITE)), some(LETTERS)]]),
    Find(&[&[maybe(set(WHITE)), some(set(PUNCTUATION))]]),
    Find(&[&[some(Set::ranges(ranges::DEEPSEEK_ASIAN))]]),
    Find(&[EACH_NUMBER]),
];

/// ` ?[^(\s|.,!?…。，、।۔،)]+`
const BLOOM_WORDS: Stage = Find(&[&[
    maybe(SPACE),
    some(set(ALL & !WHITE).minus(ranges::BLOOM_STOPS)),
]]);
pub(super) const BLOOM: &[Stage] = &[BLOOM_WORDS];

/// Bloom's, then `\p{N}`.
pub(super) const VIKING: &[Stage] = &[BLOOM_WORDS, Find(&[EACH_NUMBER])];
