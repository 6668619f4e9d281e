//! The tokenizer against Hugging Face `tokenizers` 0.23, the static model against model2vec 0.10.

use cml_embedded::embed::{StaticModel, StaticModelError, WordPiece};
use serde_json::Value;

type TestResult = Result<(), Box<dyn std::error::Error>>;

/// One JSON object per line: `text` and the `ids` of its pieces.
const PIECES: &str = include_str!("data/wordpiece.jsonl");

/// One JSON object per line: `text`, the `norm` of its sum, and the first values of its unit vector, `head`.
const VECTORS: &str = include_str!("data/static_vectors.jsonl");

fn model() -> Result<&'static StaticModel, &'static StaticModelError> {
    StaticModel::builtin()
}

fn text(case: &Value) -> Result<&str, &'static str> {
    case["text"].as_str().ok_or("no text")
}

fn numbers(case: &Value, key: &str) -> Vec<f64> {
    case[key].as_array().into_iter().flatten().filter_map(Value::as_f64).collect()
}

#[test]
fn ids_equal_those_of_tokenizers() -> TestResult {
    let wordpiece = WordPiece::new(cml_model_en::VOCAB)?;
    let mut cases = 0;
    for line in PIECES.lines() {
        let case: Value = serde_json::from_str(line)?;
        let ids = wordpiece.encode(text(&case)?);
        assert_eq!(ids.iter().copied().map(f64::from).collect::<Vec<_>>(), numbers(&case, "ids"), "{line}");
        assert_eq!(wordpiece.count(text(&case)?), ids.len(), "{line}");
        cases += 1;
    }
    assert!(cases > 1_500, "only {cases} cases");
    Ok(())
}

#[test]
fn vectors_equal_those_of_model2vec() -> TestResult {
    for line in VECTORS.lines() {
        let case: Value = serde_json::from_str(line)?;
        let (unit, norm) = model()?.embed(text(&case)?);
        let expected = case["norm"].as_f64().ok_or("no norm")?;
        assert!((f64::from(norm) - expected).abs() <= 1e-5 * expected, "{norm} for {line}");
        assert_eq!(unit.len(), model()?.dimensions());
        for (value, expected) in unit.iter().zip(numbers(&case, "head")) {
            assert!((f64::from(*value) - expected).abs() < 1e-5, "{value} is not {expected} in {line}");
        }
    }
    Ok(())
}

#[test]
fn special_tokens_in_a_text_are_text() -> TestResult {
    let wordpiece = model()?.wordpiece();
    assert_eq!(wordpiece.encode("[SEP]"), [1_031, 19_802, 1_033]);
    assert_eq!(wordpiece.encode("[ SEP ]"), [1_031, 19_802, 1_033]);
    Ok(())
}

#[test]
fn similar_stems_are_closer_than_others() -> TestResult {
    let model = model()?;
    let vector = |stem| model.stem_vector(stem).ok_or("a stem without a vector");
    let cosine = |a, b| Ok::<_, &str>(vector(a)?.cosine(&vector(b)?));
    for (stem, near, far) in [
        ("car", "vehicl", "banana"),
        ("doctor", "physician", "guitar"),
        ("buy", "purchas", "swim"),
        ("happi", "joy", "concret"),
    ] {
        assert!(cosine(stem, near)? > cosine(stem, far)? + 0.1, "{stem}: {near} {far}");
    }
    Ok(())
}
