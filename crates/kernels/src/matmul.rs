//! Matrix products with fused epilogues (shaders/matmul.wgsl).

mod epilogue;
mod experts;
mod fast;
mod layout;
mod tile;
mod twin;

pub(crate) use epilogue::Residual;
pub use experts::Experts;
pub use layout::{Cooperative, Layout};

use crate::act::{ActKind, BLOCK};
use crate::cpu::{Cores, CpuBindings};
use crate::op::{Access, Grid, Kernel};
use crate::shaders::{Shader, define, flag};
use bytemuck::{Pod, Zeroable};
use chord_quant::{WeightType, layout};

/// Rows of W a workgroup computes: one activation block of the next step.
pub const TILE: u32 = 32;

/// What happens to `y = W·x`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Epilogue {
    /// `out = y`.
    Plain,
    /// `x += y`, then the activation blocks of the next norm.
    Residual,
    /// Activation blocks of `glu(A·x, B·x)`.
    Glu,
}

/// What a gated feed-forward layer does with its gate and its values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Glu {
    /// `silu(gate) * up`.
    #[default]
    Silu,
    /// `gelu(gate) * up`, in the form with tanh.
    Gelu,
    /// Of gpt-oss: `g * sigmoid(1.702 g) * (u + 1)` with g at most 7 and u from -7 to 7.
    SwigluOai,
}

impl Glu {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Silu, Self::Gelu, Self::SwigluOai];

    fn apply(self, gate: f64, up: f64) -> f64 {
        match self {
            Self::Silu => gate / (1.0 + (-gate).exp()) * up,
            Self::Gelu => {
                let inner = (2.0 / std::f64::consts::PI).sqrt();
                0.5 * gate * (1.0 + (inner * gate * (1.0 + 0.044_715 * gate * gate)).tanh()) * up
            }
            Self::SwigluOai => {
                let gate = gate.min(7.0);
                gate / (1.0 + (-1.702 * gate).exp()) * (up.clamp(-7.0, 7.0) + 1.0)
            }
        }
    }
}

/// A matrix product over one or two weight matrices of the same K.
#[derive(Clone, Debug)]
pub struct MatMul {
    /// Type of the first matrix.
    pub a: WeightType,
    /// Type of the second: more rows (Plain) or the up projection (Glu).
    pub b: Option<WeightType>,
    /// Rows of the first.
    pub rows_a: u32,
    /// Rows of the second, 0 without.
    pub rows_b: u32,
    /// Columns of W in 32-value blocks, padded.
    pub k_blocks: u32,
    /// Epilogue.
    pub epilogue: Epilogue,
    /// Some: apply the RMS norm's factor, averaging over so many values, with this epsilon.
    pub norm: Option<(u32, f32)>,
    /// Factor on y.
    pub scale: f32,
    /// Stored form of x.
    pub act_in: ActKind,
    /// Stored form of the result's activation blocks (Residual, Glu).
    pub act_out: ActKind,
    /// Tokens per workgroup.
    pub cols: u32,
    /// Thread layout.
    pub layout: Layout,
    /// Also write y before it joins the residual: f32 per token.
    pub tap: Option<u32>,
    /// Plain: (first value, f32 per token) in `out`, where it holds more than this product; else all of it.
    pub place: Option<(u32, u32)>,
    /// Residual, Glu: (first tile, tiles per token) of the output, where this is a part of a product; else all of it.
    pub part: Option<(u32, u32)>,
    /// Glu: what it does.
    pub glu: Glu,
    /// Plain: y becomes `cap * tanh(y / cap)`.
    pub soft_cap: Option<f32>,
    /// Residual: biases of y follow the norm's weights.
    pub bias: bool,
    /// The matrices are several experts'.
    pub experts: Option<Experts>,
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Params {
    k_blocks: u32,
    rows_a: u32,
    rows_b: u32,
    n_tiles: u32,
    out_stride: u32,
    norm_k: f32,
    eps: f32,
    tap_stride: u32,
    out_base: u32,
    scale: f32,
    soft_cap: f32,
    first_tile: u32,
    expert0: u32,
    experts: u32,
    bias_a: u32,
    bias_b: u32,
    rows_at: u32,
    pad: [u32; 3],
}

impl MatMul {
    /// The plain product with one matrix, for one token at a time, of f32 activations.
    #[must_use]
    pub fn new(a: WeightType, rows_a: u32, k_blocks: u32, layout: Layout) -> Self {
        Self {
            a,
            b: None,
            rows_a,
            rows_b: 0,
            k_blocks,
            epilogue: Epilogue::Plain,
            norm: None,
            scale: 1.0,
            act_in: ActKind::F32,
            act_out: ActKind::F32,
            cols: 1,
            layout,
            tap: None,
            place: None,
            part: None,
            glu: Glu::Silu,
            soft_cap: None,
            bias: false,
            experts: None,
        }
    }

    fn tiles_a(&self) -> u32 {
        self.rows_a.div_ceil(TILE)
    }

    fn tiles(&self) -> u32 {
        match self.epilogue {
            Epilogue::Plain => self.tiles_a() + self.rows_b.div_ceil(TILE),
            Epilogue::Residual | Epilogue::Glu => self.tiles_a(),
        }
    }

    /// Values this product writes per token (Plain): both matrices' rows, each padded to whole tiles.
    #[must_use]
    pub fn width(&self) -> u32 {
        self.tiles() * TILE
    }

    /// (first value, f32 per token) of `out` (Plain).
    fn placed(&self) -> (u32, u32) {
        self.place.unwrap_or((0, self.width()))
    }

    /// First value of the second matrix's rows in `out` (Plain).
    #[must_use]
    pub fn b_offset(&self) -> u32 {
        self.tiles_a() * TILE
    }

    /// (first tile, tiles per token) of the output (Residual, Glu).
    fn parted(&self) -> (u32, u32) {
        self.part.unwrap_or((0, self.tiles()))
    }

    /// Experts in these matrices: one where there are none.
    fn stacked(&self) -> u32 {
        self.experts.map_or(1, |e| e.count)
    }

    /// What shaders/matmul.wgsl alone asks for.
    fn lane_defines(&self) -> Vec<(String, String)> {
        let (rows, split, wg) = self.layout.shape();
        vec![
            flag("TAP", self.tap.is_some()),
            define("ROWS", &rows),
            define("SPLIT", &split),
            define("WG", &wg),
            define("TILE_LEN", &(self.cols * TILE)),
            flag("SOFT_CAP", self.soft_cap.is_some()),
            flag(
                "SUM_ROUTES",
                self.experts.is_some() && self.epilogue == Epilogue::Residual,
            ),
            flag(
                "PAIRS",
                self.layout.is_row_per_thread() && self.act_in == ActKind::Q8,
            ),
            flag("OWN_HALVES", self.layout == Layout::RowPerThread4),
            flag("SPLIT_ONE", split == 1),
            flag("SPLIT_SHARED", self.layout == Layout::Lanes),
            flag(
                "SPLIT_SUBGROUP",
                matches!(self.layout, Layout::LanesSubgroup { .. }),
            ),
        ]
    }

    /// Bytes of the weights, of one expert.
    fn matrix_bytes(&self) -> u64 {
        let bytes = |(ty, rows): (WeightType, u32)| match layout(
            ty,
            rows as usize,
            self.k_blocks as usize * BLOCK,
        ) {
            Ok(l) => 4 * (l.quant_words + l.scale_words) as u64,
            Err(_) => 0,
        };
        self.weights().map(bytes).sum()
    }

    fn weights(&self) -> impl Iterator<Item = (WeightType, u32)> {
        [(Some(self.a), self.rows_a), (self.b, self.rows_b)]
            .into_iter()
            .filter_map(|(ty, rows)| Some((ty?, rows)))
    }
}

impl Kernel for MatMul {
    fn shader(&self) -> Shader {
        let mut defines = vec![
            define("A", &self.a.name()),
            flag("A_FLOAT", !self.a.is_integer()),
        ];
        if let Some(b) = self.b {
            defines.extend([
                define("B", &b.name()),
                flag("B_FLOAT", !b.is_integer()),
                flag("HAS_B", true),
            ]);
        }
        defines.push(match self.epilogue {
            Epilogue::Plain => flag("PLAIN", true),
            Epilogue::Residual => flag("RESID", true),
            Epilogue::Glu => flag("GLU", true),
        });
        defines.extend([
            flag("NORM", self.norm.is_some()),
            flag("ACT_Q8", self.act_in == ActKind::Q8),
            flag(
                "OUT_Q8",
                self.epilogue != Epilogue::Plain && self.act_out == ActKind::Q8,
            ),
            define("COLS", &self.cols),
            flag("GELU", self.glu == Glu::Gelu),
            flag("SWIGLU_OAI", self.glu == Glu::SwigluOai),
            flag("EXPERTS", self.experts.is_some()),
            define("USED", &self.experts.map_or(0, |e| e.used)),
            flag("TANH", self.glu == Glu::Gelu || self.soft_cap.is_some()),
            flag(
                "BIAS",
                self.bias || self.experts.is_some_and(|e| e.bias_at.is_some()),
            ),
        ]);
        let (kernel, own) = match self.layout {
            Layout::Tile => ("matmul_tile", self.tile_defines()),
            Layout::Cooperative(shape) => ("matmul_coop", shape.defines()),
            _ => ("matmul", self.lane_defines()),
        };
        defines.extend(own);
        Shader {
            kernel,
            defines,
            subgroups: matches!(self.layout, Layout::LanesSubgroup { .. }),
        }
    }

    fn slots(&self) -> Vec<(u32, Access)> {
        let mut slots = vec![(1, Access::Read), (2, Access::Read)];
        if self.b.is_some() {
            slots.extend([(3, Access::Read), (4, Access::Read)]);
        }
        slots.push((5, Access::Read));
        slots.extend(match self.epilogue {
            Epilogue::Plain => vec![(6, Access::ReadWrite)],
            Epilogue::Residual => vec![
                (6, Access::ReadWrite),
                (7, Access::Read),
                (8, Access::ReadWrite),
            ],
            Epilogue::Glu => vec![(8, Access::ReadWrite)],
        });
        if self.tap.is_some() {
            slots.push((9, Access::ReadWrite));
        }
        if self.experts.is_some() {
            slots.push((10, Access::Read));
        }
        slots
    }

    fn params(&self) -> Vec<u8> {
        let (norm_k, eps) = self.norm.unwrap_or((1, 0.0));
        let [bias_a, bias_b] = self.experts.and_then(|e| e.bias_at).unwrap_or_default();
        bytemuck::bytes_of(&Params {
            k_blocks: self.k_blocks,
            rows_a: self.rows_a,
            rows_b: self.rows_b,
            n_tiles: self.tiles(),
            out_stride: if self.epilogue == Epilogue::Plain {
                self.placed().1
            } else {
                self.parted().1
            },
            norm_k: norm_k as f32,
            eps,
            tap_stride: self.tap.unwrap_or(0),
            out_base: self.placed().0,
            scale: self.scale,
            soft_cap: self.soft_cap.unwrap_or_default(),
            first_tile: self.part.map_or(0, |(first, _)| first),
            expert0: self.experts.map_or(0, |e| e.first),
            experts: self.stacked(),
            bias_a,
            bias_b,
            rows_at: self.experts.and_then(|e| e.rows_at).unwrap_or_default(),
            pad: [0; 3],
        })
        .to_vec()
    }

    fn grid(&self) -> Grid {
        Grid {
            tiles: match self.layout {
                layout if layout.is_tiled() => self.tile_groups(),
                _ => self.tiles(),
            },
            rows_per_group: match self.experts {
                Some(_) if self.layout.is_tiled() => Grid::ALL,
                _ => self.cols,
            },
            groups: match (self.experts, self.epilogue) {
                (Some(experts), _) if self.layout.is_tiled() => experts.count,
                (Some(experts), Epilogue::Glu) => experts.used,
                _ => 1,
            },
        }
    }

    fn weight_bytes(&self) -> u64 {
        self.experts.map_or(1, |e| u64::from(e.used)) * self.matrix_bytes()
    }

    fn all_weight_bytes(&self) -> u64 {
        u64::from(self.stacked()) * self.matrix_bytes()
    }

    fn cpu(&self, rows: u32, mem: &CpuBindings<'_>) {
        self.twin(rows, mem);
    }

    fn fast(&self, rows: u32, mem: &CpuBindings<'_>, cores: &Cores) {
        self.run_fast(rows, mem, cores);
    }
}
