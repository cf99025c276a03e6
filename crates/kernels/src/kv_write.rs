//! Keys and values of a batch into their pages (shaders/kv_write.wgsl).

use crate::cpu::{Cores, CpuBindings};
use crate::kv::{KvShape, Row, SlotOrder};
use crate::op::{Access, Grid, Kernel};
use crate::rope::{Head, Token};
use crate::shaders::{Shader, define};

/// Writes rotated K, and V, of every row.
#[derive(Clone, Debug)]
pub struct KvWrite {
    /// Shape of the store.
    pub shape: KvShape,
    /// Threads per workgroup.
    pub wg: u32,
}

/// Inputs of a KV write: the batch's `q|k|v`, the RoPE table and the page table.
pub(crate) struct Inputs<'a> {
    pub qkv: &'a [u32],
    pub rope: &'a [u32],
    pub table: &'a [u32],
}

/// Writes row `r`'s K and V of one KV head; what `attention` does for its own row when fused.
pub(crate) fn write_row(
    shape: &KvShape,
    head: u32,
    r: usize,
    row: &Row,
    from: &Inputs<'_>,
    [k, v]: [(&mut [u32], SlotOrder); 2],
) {
    let (page, slot) = shape.place(row, from.table);
    let token = Token::new(shape, from.qkv, from.rope, r);
    let first = head * shape.head_dim;
    let key = token.rotated(shape.k_off + first, Head::Key, row[1]);
    let key: Vec<f32> = key.into_iter().map(|v| v as f32).collect();
    let value = (0..shape.head_dim).map(|d| token.value(shape.v_off + first + d) as f32);
    let value: Vec<f32> = value.collect();
    shape.store_in(k, [page, head, slot], &key);
    shape.store_in(v, [page, head, slot], &value);
}

/// Writes the rows' K and V, in f32: computed by whichever thread is free, then put into the pages.
pub(crate) fn write_rows(shape: &KvShape, rows: u32, mem: &CpuBindings<'_>, cores: &Cores) {
    let (qkv, rope, batch, table) = (mem.read(1), mem.read(4), mem.read(5), mem.read(6));
    let batch: &[Row] = &batch.as_chunks().0[..rows as usize];
    let each = shape.head_words() as usize;
    // By row, then by head: K, then V.
    let row_words = 2 * shape.n_kv_heads as usize * each;
    let mut encoded = vec![0; batch.len() * row_words];
    let valid = |(_, row): &(usize, &Row)| row[3] != 0;
    let rows = || batch.iter().enumerate().filter(valid);
    let items: Vec<_> = rows().zip(encoded.chunks_exact_mut(row_words)).collect();
    cores.each(items, |((r, row), out)| {
        let token = Token::new(shape, &qkv, &rope, r);
        let mut values = vec![0.0; shape.head_dim as usize];
        for (head, out) in (0..).zip(out.chunks_exact_mut(2 * each)) {
            let (key, value) = out.split_at_mut(each);
            let first = head * shape.head_dim;
            token.rotate_into(shape.k_off + first, Head::Key, row[1], &mut values);
            shape.kv.encode(&values, key);
            for (i, value) in (0..).zip(&mut values) {
                *value = token.value(shape.v_off + first + i) as f32;
            }
            shape.kv.encode(&values, value);
        }
    });
    let (mut k, mut v) = (mem.write(2), mem.write(3));
    let orders = [2, 3].map(|binding| mem.slot_order(binding));
    for ((_, row), of_row) in rows().zip(encoded.chunks_exact(row_words)) {
        let (page, slot) = shape.place(row, &table);
        for (head, both) in (0..).zip(of_row.chunks_exact(2 * each)) {
            let (key, value) = both.split_at(each);
            shape.put_in((&mut k, orders[0]), [page, head, slot], key);
            shape.put_in((&mut v, orders[1]), [page, head, slot], value);
        }
    }
}

impl Kernel for KvWrite {
    fn shader(&self) -> Shader {
        let mut defines = self.shape.defines();
        defines.extend([
            define("WG", &self.wg),
            define("STORE_ITEMS", &(self.shape.head_dim / 4).div_ceil(self.wg)),
        ]);
        Shader {
            kernel: "kv_write",
            defines,
            subgroups: false,
        }
    }

    fn slots(&self) -> Vec<(u32, Access)> {
        vec![
            (1, Access::Read),
            (2, Access::ReadWrite),
            (3, Access::ReadWrite),
            (4, Access::Read),
            (5, Access::Read),
            (6, Access::Read),
        ]
    }

    fn params(&self) -> Vec<u8> {
        bytemuck::bytes_of(&self.shape.params(0, 0, 0)).to_vec()
    }

    fn grid(&self) -> Grid {
        Grid {
            tiles: self.shape.n_kv_heads,
            rows_per_group: 1,
            groups: 1,
        }
    }

    fn fast(&self, rows: u32, mem: &CpuBindings<'_>, cores: &Cores) {
        write_rows(&self.shape, rows, mem, cores);
    }

    fn cpu(&self, rows: u32, mem: &CpuBindings<'_>) {
        let (qkv, rope, batch, table) = (mem.read(1), mem.read(4), mem.read(5), mem.read(6));
        let (mut k, mut v) = (mem.write(2), mem.write(3));
        let orders = [2, 3].map(|binding| mem.slot_order(binding));
        let from = Inputs {
            qkv: &qkv,
            rope: &rope,
            table: &table,
        };
        let rows = batch.as_chunks().0.iter().take(rows as usize);
        for (r, row) in rows.enumerate().filter(|(_, row)| row[3] != 0) {
            for head in 0..self.shape.n_kv_heads {
                let to = [(&mut *k, orders[0]), (&mut *v, orders[1])];
                write_row(&self.shape, head, r, row, &from, to);
            }
        }
    }
}
