//! What the crates pull in: the contract stays free of runtimes and clients, and each feature brings
//! only its own dependencies.

use std::{collections::BTreeSet, error::Error, process::Command};

type TestResult = Result<(), Box<dyn Error>>;

const HTTP_CLIENTS: &[&str] = &["reqwest", "hyper", "hyper-util", "ureq", "isahc", "curl", "attohttpc"];
const DATABASES: &[&str] = &[
    "sqlx",
    "sqlx-core",
    "sqlx-sqlite",
    "sqlx-postgres",
    "libsqlite3-sys",
    "rusqlite",
    "diesel",
    "tokio-postgres",
    "pgvector",
    "neo4rs",
    "redis",
];
const RUNTIMES: &[&str] = &["tokio", "async-std", "smol", "async-executor", "futures-executor"];
const ONNX: &[&str] = &["fastembed", "ort", "ort-sys", "tokenizers", "hf-hub"];

/// Names of the packages that `package` needs on this platform with these features, itself included.
fn packages(package: &str, features: &str) -> Result<BTreeSet<String>, Box<dyn Error>> {
    tree(package, features, "normal,build")
}

/// The same along the given kinds of dependencies.
fn tree(package: &str, features: &str, edges: &str) -> Result<BTreeSet<String>, Box<dyn Error>> {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--quiet", "--package", package, "--no-default-features"])
        .args(["--features", features, "--edges", edges, "--prefix", "none", "--format", "{p}"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
    }
    let names: BTreeSet<String> = String::from_utf8(output.stdout)?
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .map(str::to_owned)
        .collect();
    assert!(names.contains(package), "cargo tree does not name {package}: {names:?}");
    Ok(names)
}

fn assert_without(names: &BTreeSet<String>, unwanted: &[&[&str]]) {
    let found: Vec<_> = unwanted.iter().copied().flatten().filter(|name| names.contains(**name)).collect();
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn the_contract_has_no_client_no_database_and_no_runtime() -> TestResult {
    let names = packages("cognitive-memory-layer-core", "")?;
    assert_without(&names, &[HTTP_CLIENTS, DATABASES, RUNTIMES, ONNX]);
    Ok(())
}

#[test]
fn the_facade_without_features_has_no_backend() -> TestResult {
    let names = packages("cognitive-memory-layer", "")?;
    assert_without(&names, &[HTTP_CLIENTS, DATABASES, ONNX, &["cognitive-memory-layer-embedded"]]);
    Ok(())
}

#[test]
fn blocking_brings_no_backend() -> TestResult {
    let names = packages("cognitive-memory-layer", "blocking")?;
    assert_without(&names, &[HTTP_CLIENTS, DATABASES, ONNX, &["cognitive-memory-layer-embedded"]]);
    Ok(())
}

#[test]
fn local_mode_brings_sqlite_and_nothing_that_calls_out() -> TestResult {
    let names = packages("cognitive-memory-layer", "embedded-lite")?;
    assert!(names.contains("libsqlite3-sys") && names.contains("cognitive-memory-layer-model-en"));
    assert_without(
        &names,
        &[HTTP_CLIENTS, ONNX, &["sqlx-postgres", "neo4rs", "redis", "rustls", "native-tls"]],
    );
    Ok(())
}

#[test]
fn examples_and_tests_of_the_facade_build_no_server() -> TestResult {
    let names = tree("cognitive-memory-layer", "embedded-lite,http,blocking,zstd", "normal,build,dev")?;
    assert!(names.contains("libtest-mimic"), "no development dependencies: {names:?}");
    assert_without(&names, &[&["cognitive-memory-layer-server", "axum"]]);
    Ok(())
}

#[test]
fn each_mode_of_services_brings_its_own_clients_only() -> TestResult {
    let tls = ["aws-lc-rs", "aws-lc-sys", "openssl", "openssl-sys", "native-tls"];
    let standard = packages("cognitive-memory-layer", "embedded-standard")?;
    assert!(standard.contains("sqlx-postgres") && standard.contains("pgvector") && standard.contains("ring"));
    assert_without(&standard, &[HTTP_CLIENTS, ONNX, &tls, &["libsqlite3-sys", "neo4rs", "redis"]]);
    let full = packages("cognitive-memory-layer", "embedded-full")?;
    assert!(full.is_superset(&standard) && full.contains("neo4rs") && full.contains("redis"));
    assert_without(&full, &[HTTP_CLIENTS, ONNX, &tls, &["libsqlite3-sys"]]);
    Ok(())
}

#[test]
fn server_mode_brings_one_tls_library_and_no_database() -> TestResult {
    let names = packages("cognitive-memory-layer", "http")?;
    assert!(names.contains("reqwest") && names.contains("ring"));
    let tls = ["aws-lc-rs", "aws-lc-sys", "openssl", "openssl-sys", "native-tls"];
    assert_without(&names, &[DATABASES, ONNX, &tls, &["cognitive-memory-layer-embedded"]]);
    Ok(())
}
