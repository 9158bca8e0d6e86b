//! What windows need of columns beyond the event crate: numbers, rows picked from several columns, memory use.

use mesh_event::{Bytes2D, Column, ColumnBuilder, ColumnData, FieldType, MONEY_SCALE, NullMask};

/// One row of one of several sources.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RowRef {
    pub source: u32,
    pub row: u32,
}

impl RowRef {
    /// No row: its values are null ([`gather_or_null`]).
    pub(crate) const NULL: RowRef = RowRef { source: u32::MAX, row: 0 };
}

/// A number of a row; `None` for null.
pub(crate) fn number(column: &Column, row: usize) -> Option<f64> {
    if column.is_null(row) {
        return None;
    }
    match &column.data {
        ColumnData::Int32(v) => Some(f64::from(v[row])),
        ColumnData::Int64(v) => Some(v[row] as f64),
        ColumnData::Double(v) => Some(v[row]),
        ColumnData::Money(v) => Some(v[row] as f64 / MONEY_SCALE as f64),
        _ => None,
    }
}

/// The rows that `refs` name, in their order; nulls for [`RowRef::NULL`].
pub(crate) fn gather_or_null(sources: &[&Column], refs: &[RowRef], ty: FieldType) -> Column {
    if !refs.contains(&RowRef::NULL) && !sources.is_empty() {
        return gather(sources, refs);
    }
    macro_rules! fixed {
        ($kind:ident) => {{
            let slices = sources.iter().map(|source| match &source.data {
                ColumnData::$kind(values) => values.as_slice(),
                _ => unreachable!("columns of one field share one type"),
            });
            let slices: Vec<_> = slices.collect();
            let value =
                |at: &RowRef| slices.get(at.source as usize).map_or_else(Default::default, |v| v[at.row as usize]);
            Some(ColumnData::$kind(refs.iter().map(value).collect()))
        }};
    }
    let data = match sources.first().map(|source| &source.data) {
        Some(ColumnData::Int32(_)) => fixed!(Int32),
        Some(ColumnData::Int64(_)) => fixed!(Int64),
        Some(ColumnData::Double(_)) => fixed!(Double),
        Some(ColumnData::Date(_)) => fixed!(Date),
        Some(ColumnData::Stamp(_)) => fixed!(Stamp),
        Some(ColumnData::Money(_)) => fixed!(Money),
        _ => None,
    };
    if let Some(data) = data {
        let is_null =
            |at: &RowRef| sources.get(at.source as usize).is_none_or(|column| column.is_null(at.row as usize));
        let word =
            |refs: &[RowRef]| refs.iter().enumerate().fold(0, |word, (at, from)| word | u64::from(is_null(from)) << at);
        return Column { data, nulls: NullMask::from_words(refs.chunks(64).map(word).collect()) };
    }
    let mut one = ColumnBuilder::new(ty, 1);
    one.push_null();
    let one = one.finish();
    let mut with_null = sources.to_vec();
    let null = RowRef { source: sources.len() as u32, row: 0 };
    with_null.push(&one);
    let refs: Vec<RowRef> = refs.iter().map(|&at| if at == RowRef::NULL { null } else { at }).collect();
    gather(&with_null, &refs)
}

/// The rows that `refs` name, in their order. All sources have one type.
pub(crate) fn gather(sources: &[&Column], refs: &[RowRef]) -> Column {
    macro_rules! fixed {
        ($kind:ident) => {{
            let slices = sources.iter().map(|source| match &source.data {
                ColumnData::$kind(values) => values.as_slice(),
                _ => unreachable!("columns of one field share one type"),
            });
            ColumnData::$kind(gather_fixed(&slices.collect::<Vec<_>>(), refs))
        }};
    }
    macro_rules! text {
        ($kind:ident) => {{
            let texts = sources.iter().map(|source| match &source.data {
                ColumnData::$kind(texts) => texts,
                _ => unreachable!("columns of one field share one type"),
            });
            ColumnData::$kind(gather_text(&texts.collect::<Vec<_>>(), refs))
        }};
    }
    let data = match &sources.first().expect("rows come from at least one source").data {
        ColumnData::Int32(_) => fixed!(Int32),
        ColumnData::Int64(_) => fixed!(Int64),
        ColumnData::Double(_) => fixed!(Double),
        ColumnData::String(_) => text!(String),
        ColumnData::Date(_) => fixed!(Date),
        ColumnData::Stamp(_) => fixed!(Stamp),
        ColumnData::Money(_) => fixed!(Money),
        ColumnData::Blob(_) => text!(Blob),
        ColumnData::ArrayInt32(_) => fixed!(ArrayInt32),
        ColumnData::ArrayInt64(_) => fixed!(ArrayInt64),
        ColumnData::ArrayDouble(_) => fixed!(ArrayDouble),
    };
    let mut nulls = NullMask::default();
    if sources.iter().any(|source| !source.nulls.is_empty()) {
        for (row, from) in refs.iter().enumerate() {
            if sources[from.source as usize].is_null(from.row as usize) {
                nulls.set(row);
            }
        }
    }
    Column { data, nulls }
}

fn gather_fixed<T: Clone>(sources: &[&[T]], refs: &[RowRef]) -> Vec<T> {
    match sources {
        [only] => refs.iter().map(|from| only[from.row as usize].clone()).collect(),
        _ => refs.iter().map(|from| sources[from.source as usize][from.row as usize].clone()).collect(),
    }
}

fn gather_text(sources: &[&Bytes2D], refs: &[RowRef]) -> Bytes2D {
    Bytes2D::collect(refs.iter().map(|from| (sources[from.source as usize], from.row as usize)))
}

/// Memory that the values of a column take, without the allocator's overhead.
pub(crate) fn bytes(column: &Column) -> usize {
    let data = match &column.data {
        ColumnData::Int32(v) => size_of_val(v.as_slice()),
        ColumnData::Int64(v) | ColumnData::Date(v) | ColumnData::Stamp(v) | ColumnData::Money(v) => {
            size_of_val(v.as_slice())
        }
        ColumnData::Double(v) => size_of_val(v.as_slice()),
        ColumnData::String(v) | ColumnData::Blob(v) => size_of_val(v.ends.as_slice()) + v.bytes.len(),
        ColumnData::ArrayInt32(v) => v.iter().map(|array| size_of_val::<[i32]>(array) + ARRAY_HEADER).sum(),
        ColumnData::ArrayInt64(v) => v.iter().map(|array| size_of_val::<[i64]>(array) + ARRAY_HEADER).sum(),
        ColumnData::ArrayDouble(v) => v.iter().map(|array| size_of_val::<[f64]>(array) + ARRAY_HEADER).sum(),
    };
    data + size_of_val(column.nulls.words()) + size_of::<Column>()
}

/// Pointer, length and the two counts of a shared array.
const ARRAY_HEADER: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;
    use mesh_event::Value;

    fn column(ty: FieldType, values: &[Value]) -> Column {
        let mut builder = ColumnBuilder::new(ty, values.len());
        for value in values {
            assert!(builder.push(value));
        }
        builder.finish()
    }

    fn samples() -> Vec<(FieldType, Vec<Value>)> {
        let text = |s: &str| Value::String(s.into());
        vec![
            (FieldType::Int64, vec![Value::Int64(1), Value::Null, Value::Int64(3), Value::Int64(4)]),
            (FieldType::String, vec![text("a"), text(""), Value::Null, text("ccc")]),
            (FieldType::Double, vec![Value::Double(0.5), Value::Null, Value::Null, Value::Double(-1.0)]),
            (FieldType::ArrayInt32, vec![Value::ArrayInt32([1, 2].into()), Value::Null, Value::Null, Value::Null]),
        ]
    }

    #[test]
    fn gather_takes_rows_from_several_sources() {
        for (ty, values) in samples() {
            let (left, right) = (column(ty, &values[..2]), column(ty, &values[2..]));
            let refs = [(1, 1), (0, 0), (1, 0), (0, 1), (1, 1)].map(|(source, row)| RowRef { source, row });
            let got = gather(&[&left, &right], &refs);
            let want = [3, 0, 2, 1, 3].map(|row: usize| values[row].clone());
            assert_eq!((0..5).map(|row| got.value(row)).collect::<Vec<_>>(), want, "{ty}");
        }
    }
}
