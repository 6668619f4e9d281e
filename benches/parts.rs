//! The parts of a write and a read, one by one.
//!
//! ```sh
//! cargo bench --bench parts --features embedded-lite
//! ```

use chrono::DateTime;
use cml::embedded::{
    embed::{StaticModel, dot_i8},
    extract::{Context, Extractor},
    search::TurnAnalysis,
};
use divan::{Bencher, black_box};

const SENTENCE: &str = "I moved to a new flat last week";

const PARAGRAPH: &str = "We talked about the trip to the coast for most of the evening. Ana wants to take the early train on \
    Friday, because the later one is always full, and I said that I would rather drive. In the end we agreed to leave the \
    decision until Wednesday. I also have to call the dentist tomorrow, renew the library card before the end of the month, \
    and find out whether my sister is allergic to cats. She lives in Rome now and works for a small publisher. The kitchen tap \
    still drips; the plumber comes in two weeks. I never schedule meetings before half past nine.";

fn main() {
    divan::main();
}

#[divan::bench]
fn embed_a_sentence(bencher: Bencher<'_, '_>) {
    let model = StaticModel::builtin().expect("the built-in model is whole");
    bencher.bench(|| model.embed(black_box(SENTENCE)));
}

#[divan::bench]
fn embed_a_hundred_words(bencher: Bencher<'_, '_>) {
    let model = StaticModel::builtin().expect("the built-in model is whole");
    bencher.bench(|| model.embed(black_box(PARAGRAPH)));
}

#[divan::bench]
fn gate_a_hundred_words(bencher: Bencher<'_, '_>) {
    let extractor = Extractor::default();
    bencher.bench(|| extractor.gate(black_box(PARAGRAPH), true));
}

#[divan::bench]
fn analyse_a_hundred_words(bencher: Bencher<'_, '_>) {
    let extractor = Extractor::default();
    let context = Context::new(DateTime::UNIX_EPOCH);
    bencher.bench(|| extractor.analyse(black_box(PARAGRAPH), &context));
}

#[divan::bench]
fn index_words_of_a_hundred_words() -> TurnAnalysis {
    TurnAnalysis::of(black_box(PARAGRAPH))
}

#[divan::bench(args = [256, 384, 768])]
fn dot_product(bencher: Bencher<'_, '_>, dimensions: usize) {
    let (a, b) = (vec![3i8; dimensions], vec![-5i8; dimensions]);
    bencher.bench(|| dot_i8(black_box(&a), black_box(&b)));
}
