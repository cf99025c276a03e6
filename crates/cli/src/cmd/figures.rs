//! Numbers as people read them.

/// Bytes with a binary unit.
pub fn bytes(n: u64) -> String {
    indicatif::HumanBytes(n).to_string()
}

/// Median, smallest and largest of some measurements.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    pub median: f64,
    pub min: f64,
    pub max: f64,
}

impl Spread {
    /// `None` without measurements.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Spread> {
        let mut v: Vec<f64> = values.into_iter().collect();
        v.sort_by(f64::total_cmp);
        let (min, max) = (*v.first()?, *v.last()?);
        let upper = *v.get(v.len() / 2)?;
        let lower = *v.get((v.len() - 1) / 2)?;
        Some(Spread {
            median: (lower + upper) / 2.0,
            min,
            max,
        })
    }

    /// As JSON.
    pub fn to_json(self) -> serde_json::Value {
        serde_json::json!({"median": self.median, "min": self.min, "max": self.max})
    }
}

/// Rows under a header, columns as wide as needed; the columns in `right` are aligned right.
pub fn table(header: &[&str], rows: &[Vec<String>], right: &[usize]) -> String {
    let width = |c: usize| {
        let cells = rows
            .iter()
            .filter_map(|r| r.get(c))
            .map(|s| s.chars().count());
        cells
            .chain(header.get(c).map(|h| h.chars().count()))
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..header.len()).map(width).collect();
    let render = |cells: Vec<&str>| {
        let mut line = String::new();
        for (c, (cell, width)) in cells.iter().zip(&widths).enumerate() {
            let pad = " ".repeat(width.saturating_sub(cell.chars().count()));
            let text = if right.contains(&c) {
                format!("{pad}{cell}")
            } else {
                format!("{cell}{pad}")
            };
            if c > 0 {
                line.push_str("  ");
            }
            line.push_str(&text);
        }
        line.trim_end().to_owned()
    };
    let mut lines = vec![render(header.to_vec())];
    lines.extend(
        rows.iter()
            .map(|r| render(r.iter().map(String::as_str).collect())),
    );
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        let median = |v: &[f64]| Spread::of(v.iter().copied()).map(|s| s.median);
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0]), Some(3.0));
        assert_eq!(median(&[5.0, 1.0, 3.0]), Some(3.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 9.0]), Some(3.0));
        let s = Spread::of([2.0, 8.0, 4.0]).expect("values");
        assert_eq!((s.min, s.max), (2.0, 8.0));
    }

    #[test]
    fn columns_line_up() {
        let rows = vec![
            vec!["a".into(), "10".into()],
            vec!["bcd".into(), "5".into()],
        ];
        assert_eq!(
            table(&["name", "n"], &rows, &[1]),
            "name   n\na     10\nbcd    5"
        );
    }
}
