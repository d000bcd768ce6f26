//! Rows as the caller names them: any integer type, checked before anything is written.

use std::fmt;

/// An integer that names a row.
pub trait Index: Copy + Send + Sync + fmt::Display + 'static {
    /// The same number; a negative one becomes larger than any table.
    fn wide(self) -> u64;
}

macro_rules! index {
    ($($t:ident as $wide:ident),*) => {$(
        impl Index for $t {
            #[inline(always)]
            fn wide(self) -> u64 {
                $wide::from(self) as u64
            }
        }
    )*};
}

index!(i8 as i64, i16 as i64, i32 as i64, i64 as i64, u8 as u64, u16 as u64, u32 as u64, u64 as u64);

/// A row outside its table.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OutOfRange {
    /// The first one, as it was given.
    pub row: String,
    /// Where it stands.
    pub position: usize,
    /// How many there are.
    pub count: usize,
    /// How many rows the table has.
    pub size: usize,
}

impl fmt::Display for OutOfRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { row, position, count, size } = self;
        match size {
            0 => write!(f, "got row {row} at position {position} of a table without rows")?,
            _ => write!(f, "got row {row} at position {position}, need 0 to {}", size - 1)?,
        }
        if *count > 1 { write!(f, " ({count} rows are out of range)") } else { Ok(()) }
    }
}

impl std::error::Error for OutOfRange {}

/// How rows follow one another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Order {
    /// None is less than the one before.
    Sorted,
    /// Anyhow.
    None,
}

/// The first row that is not in a table of `size` rows is an error.
pub fn check<I: Index>(rows: &[I], size: usize) -> Result<(), OutOfRange> {
    let outside = |row: I| row.wide() >= size as u64;
    // Without a branch, so that it is vectorised.
    if rows.iter().fold(false, |any, &row| any | outside(row)) {
        let mut found = rows.iter().enumerate().filter(|&(_, &row)| outside(row));
        if let Some((position, row)) = found.next() {
            return Err(OutOfRange { row: row.to_string(), position, count: 1 + found.count(), size });
        }
    }
    Ok(())
}

/// All rows as indices, and their order.
pub(super) fn checked<I: Index>(rows: &[I], size: usize) -> Result<(Vec<usize>, Order), OutOfRange> {
    check(rows, size)?;
    let rows: Vec<usize> = rows.iter().map(|row| row.wide() as usize).collect();
    let order = if rows.is_sorted() { Order::Sorted } else { Order::None };
    Ok((rows, order))
}
