//! What one rendering may cost.

/// Bytes of a template's source.
pub(super) const SOURCE: usize = 1 << 20;
/// Bytes of the result, and of any one value on the way to it.
pub(super) const OUTPUT: u64 = 16 << 20;
/// Bytes written and compared while rendering, results in between included.
pub(super) const WORK: u64 = 128 << 20;
/// Template instructions.
pub(super) const FUEL: u64 = 2_000_000;
/// Items of one `range`.
pub(super) const RANGE: u64 = 100_000;
/// Levels of blocks and brackets.
pub(super) const NESTING: usize = 100;
/// Operators and attachments in one expression: the compiler recurses once for each.
pub(super) const CHAIN: usize = 200;
/// Levels of macro calls and recursive loops.
pub(super) const RECURSION: usize = 200;
/// Levels of one value.
pub(super) const VALUE_DEPTH: usize = 64;
/// A factor in a product.
pub(super) const FACTOR: i64 = 1_000_000;
/// Literal text that costs nothing extra, in bytes.
pub(super) const FREE_TEXT: usize = 64;
/// White space between two tags, in bytes.
pub(super) const BLANK_TEXT: usize = 1 << 10;
/// A `{% raw %}` block, in bytes.
pub(super) const RAW_BLOCK: usize = 4 << 10;
