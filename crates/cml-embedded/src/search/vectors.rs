//! Vectors as int8 rows with a scale, one row per record slot.

use crate::embed::{dot_i8, quantise};

/// Rows of int8 vectors of one length.
#[derive(Debug)]
pub(crate) struct VectorRows {
    dimensions: usize,
    values: Vec<i8>,
    /// What makes a row's dot product with a unit vector a cosine; 0 for a slot without a vector.
    scales: Vec<f32>,
}

impl VectorRows {
    pub(crate) const fn new(dimensions: usize) -> Self {
        Self { dimensions, values: Vec::new(), scales: Vec::new() }
    }

    /// Sets or clears the row of `slot`; vectors of another length count as none.
    pub(crate) fn set(&mut self, slot: usize, vector: Option<&[f32]>) {
        let vector = vector.filter(|vector| vector.len() == self.dimensions);
        if slot >= self.scales.len() {
            if vector.is_none() {
                return;
            }
            self.scales.resize(slot + 1, 0.0);
            self.values.resize((slot + 1) * self.dimensions, 0);
        }
        let row = &mut self.values[slot * self.dimensions..(slot + 1) * self.dimensions];
        let (values, scale) = vector.map(quantise).unwrap_or_default();
        self.scales[slot] = scale;
        if scale > 0.0 {
            row.copy_from_slice(&values);
        } else {
            row.fill(0);
        }
    }

    /// The row of `slot` as a vector again.
    pub(crate) fn get(&self, slot: usize) -> Option<Vec<f32>> {
        let scale = *self.scales.get(slot).filter(|&&scale| scale > 0.0)?;
        Some(self.row(slot).iter().map(|&value| f32::from(value) * scale).collect())
    }

    fn row(&self, slot: usize) -> &[i8] {
        &self.values[slot * self.dimensions..(slot + 1) * self.dimensions]
    }

    /// Cosine with a query, 0 where there is no vector.
    pub(crate) fn cosine(&self, slot: usize, query: &QueryVector) -> f32 {
        match self.scales.get(slot) {
            Some(&scale) if scale > 0.0 => dot_i8(self.row(slot), &query.values) as f32 * scale * query.scale,
            _ => 0.0,
        }
    }

    /// Cosine of two rows, of this or another partition.
    pub(crate) fn cosine_of_rows(&self, slot: usize, others: &Self, other: usize) -> f32 {
        match (self.scales.get(slot), others.scales.get(other)) {
            (Some(&a), Some(&b)) if a > 0.0 && b > 0.0 => {
                dot_i8(self.row(slot), others.row(other)) as f32 * a * b
            }
            _ => 0.0,
        }
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        self.values.capacity() + self.scales.capacity() * size_of::<f32>()
    }
}

/// A query's unit vector in int8.
#[derive(Debug)]
pub(crate) struct QueryVector {
    values: Vec<i8>,
    scale: f32,
}

impl QueryVector {
    /// `None` for a zero vector or one of another length.
    pub(crate) fn new(vector: &[f32], dimensions: usize) -> Option<Self> {
        let (values, scale) = quantise(vector);
        (vector.len() == dimensions && scale > 0.0).then_some(Self { values, scale })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cosines_survive_the_rounding() {
        let mut rows = VectorRows::new(2);
        rows.set(3, Some(&[0.6, 0.8]));
        rows.set(1, Some(&[1.0, 0.0]));
        rows.set(2, Some(&[1.0]));
        let query = QueryVector::new(&[1.0, 0.0], 2);
        let cosines: Vec<f32> =
            (0..5).filter_map(|slot| query.as_ref().map(|query| rows.cosine(slot, query))).collect();
        for (cosine, expected) in cosines.iter().zip([0.0, 1.0, 0.0, 0.6, 0.0]) {
            assert!((cosine - expected).abs() < 0.005, "{cosines:?}");
        }
        assert!((rows.cosine_of_rows(1, &rows, 3) - 0.6).abs() < 0.005);
        rows.set(3, None);
        assert!(query.is_some_and(|query| rows.cosine(3, &query) == 0.0));
        assert!(QueryVector::new(&[0.0, 0.0], 2).is_none());
    }
}
