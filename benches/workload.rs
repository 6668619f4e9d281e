//! The texts and vectors that the benchmarks store, the same in every run.

use std::collections::HashMap;

use cml::{
    Result,
    provider::{Embedder, Embedding, EmbeddingModel},
};

/// Vectors made beforehand, looked up by text.
#[derive(Debug)]
pub(crate) struct GivenVectors {
    model: EmbeddingModel,
    vectors: HashMap<String, Vec<f32>>,
}

impl GivenVectors {
    pub(crate) fn new<'a>(texts: impl Iterator<Item = &'a String>) -> Self {
        let mut random = Random(7);
        let vectors = texts.map(|text| (text.clone(), random.direction(384))).collect();
        Self { model: EmbeddingModel::new("given-384", 384), vectors }
    }
}

#[async_trait::async_trait]
impl Embedder for GivenVectors {
    fn model(&self) -> &EmbeddingModel {
        &self.model
    }

    async fn embed(&self, texts: &[&str]) -> Result<Vec<Embedding>> {
        let vector = |text: &&str| match self.vectors.get(*text) {
            Some(vector) => Embedding::from_unit(vector.clone(), 1.0),
            None => Embedding::from_unit(Random(text.len() as u64).direction(384), 1.0),
        };
        Ok(texts.iter().map(vector).collect())
    }
}

/// SplitMix64 (Steele, Lea & Flood 2014): the same texts and vectors in every run.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    pub(crate) fn direction(&mut self, dimensions: usize) -> Vec<f32> {
        let raw: Vec<f32> =
            (0..dimensions).map(|_| (self.unit() + self.unit() + self.unit() - 1.5) as f32).collect();
        Embedding::from_raw(raw).vector
    }
}

/// Sentences of 12 to 22 words, about 100 characters; word frequencies fall as 1/rank, as in English.
pub(crate) fn texts(count: usize) -> Vec<String> {
    let mut random = Random(1);
    let syllables =
        ["ka", "lo", "mi", "ter", "son", "ing", "ve", "ra", "den", "pu", "shi", "or", "bel", "ti", "gan"];
    let words: Vec<String> = (0..8_000)
        .map(|_| (0..2 + random.next() % 2).map(|_| syllables[(random.next() % 15) as usize]).collect())
        .collect();
    (0..count)
        .map(|n| {
            let length = 12 + random.next() % 10;
            let sentence: Vec<&str> = (0..length)
                .map(|_| {
                    words[((words.len() as f64).powf(random.unit()) as usize).min(words.len() - 1)].as_str()
                })
                .collect();
            format!("Note {n}: {}.", sentence.join(" "))
        })
        .collect()
}

/// Texts to store, and eight words each of sentences that are not among them.
pub(crate) fn texts_and_queries(texts_wanted: usize, queries: usize) -> (Vec<String>, Vec<String>) {
    let mut all = texts(texts_wanted + queries);
    let asked = all.split_off(texts_wanted);
    let words = |text: &String| text.split(' ').skip(2).take(8).collect::<Vec<_>>().join(" ");
    (all, asked.iter().map(words).collect())
}
