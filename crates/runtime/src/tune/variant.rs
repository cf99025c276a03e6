//! What there is to choose from.

use crate::options::EngineOptions;
use chord_kernels::gpu::Caps;
use chord_kernels::matmul::Layout;
use chord_kernels::variants::{LAYOUTS, TILE_COLS};
use chord_model::{GraphOptions, Splits, Tiles};
use std::fmt;

/// Rows of a batch that may share a workgroup of attention.
const ATTENTION_COLS: [u32; 3] = [1, 4, 8];

/// Tokens from which a prompt goes by tiles, unmeasured. Below it, workgroups of 4 tokens read the weights at most 6 times, which is less
/// work than a tile's, whose columns are computed whether there are tokens for them or not.
pub(crate) const TILES_FROM: u32 = 24;

/// One of the ways to compute the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Variant {
    /// Thread layout of products of a token and of few.
    pub layout: Layout,
    /// How prompts go by tiles; None: never.
    pub tiles: Option<Tiled>,
    /// Most rows of a batch that share a workgroup of attention.
    pub attention_cols: u32,
    /// Tokens behind which a token's attention is split; None: never.
    pub split_from: Option<u32>,
}

/// Prompts by tiles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tiled {
    /// Tokens from which they do.
    pub from: u32,
    /// Layout of products with int8 activations.
    pub int8: Layout,
}

/// `lanes-subgroup tile 24 attention 8 split 128`, or `columns 0` where nothing goes by tiles and `split 0` where nothing is split.
impl fmt::Display for Variant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (layout, attention) = (self.layout, self.attention_cols);
        let (tiled, from) = (self.tiled(), self.tiles.map_or(0, |t| t.from));
        let split = self.split_from.unwrap_or(0);
        write!(
            f,
            "{layout} {tiled} {from} attention {attention} split {split}"
        )
    }
}

/// In the place of a layout of tiles.
const COLUMNS: &str = "columns";

impl Variant {
    /// What [`Variant::to_string`] made on a device of these capabilities; None for anything else.
    pub(super) fn parse(text: &str, caps: &Caps) -> Option<Self> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let &[layout, int8, from, "attention", attention, "split", split] = words.as_slice() else {
            return None;
        };
        let split: u32 = split.parse().ok()?;
        let is = |layout: &Layout, name: &str| layout.to_string() == name;
        let tiles = match int8 {
            COLUMNS => None,
            name => Some(Tiled {
                from: from.parse().ok()?,
                int8: Self::tilings(caps).into_iter().find(|l| is(l, name))?,
            }),
        };
        let mut cols = ATTENTION_COLS.into_iter();
        Some(Self {
            layout: LAYOUTS.into_iter().find(|l| is(l, layout))?,
            tiles,
            attention_cols: cols.find(|n| n.to_string() == attention)?,
            split_from: (split > 0).then_some(split),
        })
    }

    /// By what prompts go.
    pub(super) fn tiled(self) -> String {
        self.tiles.map_or(COLUMNS.into(), |t| t.int8.to_string())
    }

    /// Layouts of tiles, the one that runs anywhere first.
    pub(super) fn tilings(caps: &Caps) -> Vec<Layout> {
        let cooperative = caps.cooperative.map(Layout::Cooperative);
        std::iter::once(Layout::Tile).chain(cooperative).collect()
    }

    /// What a plan's options ask for.
    pub(super) fn of(graph: &GraphOptions) -> Self {
        Self {
            layout: graph.layout,
            tiles: graph.tiles.map(|tiles| Tiled {
                from: TILES_FROM,
                int8: tiles.int8,
            }),
            attention_cols: graph.attention_cols,
            split_from: graph.splits.map(|splits| splits.from),
        }
    }

    pub(super) fn applied(self, graph: &GraphOptions) -> GraphOptions {
        GraphOptions {
            layout: self.layout,
            tiles: self.tiles.map(|tiles| Tiles {
                cols: TILE_COLS,
                int8: tiles.int8,
            }),
            attention_cols: self.attention_cols,
            splits: graph.splits.map(|splits| Splits {
                // A token that sees fewer has no other form.
                from: self.split_from.unwrap_or(splits.from).max(splits.above),
                ..splits
            }),
            ..graph.clone()
        }
    }

    /// The plan is the same: numbers of tokens alone are not part of it.
    pub(super) fn same_plan(self, other: Self) -> bool {
        let plan = |v: Self| (v.layout, v.tiles.map(|t| t.int8), v.attention_cols);
        plan(self) == plan(other)
    }

    /// Layouts that the device can run, `suggested` first; only that where it was asked for.
    pub(super) fn layouts(opts: &EngineOptions, caps: &Caps, suggested: Layout) -> Vec<Layout> {
        let runs = |layout: &Layout| match layout {
            Layout::LanesSubgroup { split } => caps.subgroups.is_some_and(|(min, _)| min >= *split),
            // Eight threads a workgroup leave most of a real GPU idle.
            Layout::RowPerThread | Layout::RowPerThread4 => caps.software,
            Layout::Lanes => true,
            Layout::Tile | Layout::Cooperative(_) => false,
        };
        let others = LAYOUTS
            .into_iter()
            .filter(|l| *l != suggested && runs(l) && opts.layout.is_none());
        std::iter::once(suggested).chain(others).collect()
    }

    /// Rows of attention's workgroups, `suggested` first; only that where it was asked for.
    pub(super) fn attention_cols(opts: &EngineOptions, suggested: u32) -> Vec<u32> {
        let others = ATTENTION_COLS.into_iter();
        let others = others.filter(|n| *n != suggested && opts.attention_cols.is_none());
        std::iter::once(suggested).chain(others).collect()
    }

    /// The fewest tokens behind which attention can be split, and the most behind which it still may be whole.
    pub(super) fn split_from(splits: Splits) -> (u32, u32) {
        (splits.above, splits.above.max(512))
    }

    /// Where tiles begin to pay, by what the fewer of so many rows take by columns, of which 4 share a workgroup, and what fewer and more
    /// take by tiles; None where they do not even for the more.
    pub(super) fn tiles_from(
        (few, many): (u32, u32),
        columns: f64,
        (tiles_few, tiles_many): (f64, f64),
    ) -> Option<u32> {
        // Rows by columns cost the same however many there are.
        let columns_many = columns * f64::from(many) / f64::from(few);
        let pays = tiles_many < super::WORTH * columns_many;
        pays.then(|| ((f64::from(few) * tiles_few / columns) as u32).clamp(4, many - 1) + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chord_kernels::matmul::Cooperative;

    fn caps(cooperative: Option<Cooperative>) -> Caps {
        Caps {
            subgroups: Some((32, 32)),
            cooperative,
            software: false,
            max_binding: 0,
            max_buffer: 0,
            workgroup_bytes: 0,
            invocations: 0,
            storage_buffers: 0,
            timestamps: false,
        }
    }

    #[test]
    fn a_variant_is_read_back_and_nothing_else_is() {
        let with = caps(Cooperative::new(16, 32));
        for layout in LAYOUTS {
            let tilings = Variant::tilings(&with).into_iter();
            let tilings = tilings.map(|int8| Some(Tiled { from: 24, int8 }));
            for tiles in tilings.chain([None]) {
                let variant = Variant {
                    layout,
                    tiles,
                    attention_cols: 8,
                    split_from: tiles.map(|_| 128),
                };
                assert_eq!(Variant::parse(&variant.to_string(), &with), Some(variant));
            }
        }
        for wrong in [
            "",
            "lanes",
            "lanes tile 24 attention 3 split 0",
            "lanes tile -1 attention 8 split 0",
            "tile tile 24 attention 8 split 0",
            "lanes lanes 24 attention 8 split 0",
            "lanes cooperative 24 attention 8 split 0",
            "lanes tile 24 attention 8 split 0 more",
            "lanes tile 24 attention 8 split x",
            "lanes tile 24 attention 8",
        ] {
            assert_eq!(Variant::parse(wrong, &caps(None)), None, "{wrong:?}");
        }
    }

    #[test]
    fn tiles_begin_where_columns_take_longer() {
        let from = |columns, tiles: f64, all: f64| {
            let at_512 = (tiles * all, columns * 8.0);
            assert!(at_512.0 > 0.0);
            Variant::tiles_from((64, 512), columns, (tiles, at_512.0))
        };
        assert_eq!(from(16.0, 4.0, 8.0), Some(17));
        assert_eq!(from(1000.0, 1.0, 8.0), Some(5));
        assert_eq!(from(4.0, 4.0, 8.0), None);
        assert_eq!(from(4.0, 9.0, 8.0), None);
        // A large GPU: 64 rows leave it idle, 512 do not.
        assert_eq!(from(4.0, 6.0, 2.0), Some(97));
        assert_eq!(from(4.0, 31.9, 0.9), Some(511));
    }
}
