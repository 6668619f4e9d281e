//! The texts and vectors that the benchmarks store, the same in every run.

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
