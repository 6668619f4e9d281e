//! The ONNX embedder: what goes wrong without its library and files, and a real MiniLM.
//!
//! The tests with a real model run when `CML_TEST_MINILM` names the folder of `scripts/fetch-minilm`.

#![cfg(feature = "fastembed")]

use std::{
    fs,
    io::{BufRead, BufReader, Read, Seek, SeekFrom, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use cml_core::{Error, ErrorKind, provider::Embedder};
use cml_embedded::embed::{FastEmbedOptions, FastEmbedder};

type TestResult<T = ()> = Result<T, Box<dyn std::error::Error>>;

/// Names the test that a child process runs.
const CHILD: &str = "CML_TEST_CHILD";

const TEXTS: [&str; 6] = [
    "The cat sleeps on the sofa all day.",
    "A kitten naps on the couch.",
    "Interest rates rose by half a percent.",
    "The central bank made borrowing more expensive.",
    "",
    "Zoë paid 5 € for 東京 tea 🍵 and then walked home through the rain with two friends from work.",
];

/// Runs `test` in a process of its own, because ONNX Runtime is loaded once per process.
fn in_child(name: &str, variables: &[(&str, &str)], test: impl FnOnce() -> TestResult) -> TestResult {
    if std::env::var(CHILD).is_ok_and(|child| child == name) {
        return test();
    }
    let output = Command::new(std::env::current_exe()?)
        .args(["--exact", name, "--nocapture"])
        .env_remove("ORT_DYLIB_PATH")
        .env_remove("HF_HOME")
        .env_remove("HF_TOKEN")
        .env(CHILD, name)
        .envs(variables.iter().copied())
        .output()?;
    let text =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{text}");
    assert!(!text.contains("panicked"), "{text}");
    Ok(())
}

/// The folder with the real model; `None`, with a line that says so, when there is none.
fn minilm() -> Option<PathBuf> {
    let folder = std::env::var_os("CML_TEST_MINILM").map(PathBuf::from);
    if folder.is_none() {
        eprintln!("skipped: CML_TEST_MINILM does not name the folder of scripts/fetch-minilm");
    }
    folder
}

fn with_library(folder: &Path) -> FastEmbedOptions {
    FastEmbedOptions::new().with_onnxruntime(folder).with_threads(1).with_progress(false)
}

/// A folder that looks like a model until it is loaded.
fn hollow_model() -> TestResult<tempfile::TempDir> {
    let folder = tempfile::tempdir()?;
    fs::write(folder.path().join("model.onnx"), "no graph")?;
    fs::write(folder.path().join("tokenizer.json"), "{}")?;
    Ok(folder)
}

fn refused(result: cml_core::Result<FastEmbedder>) -> TestResult<Error> {
    result.err().ok_or_else(|| "an embedder without what it needs".into())
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[test]
fn a_missing_library_says_what_to_install() -> TestResult {
    let missing = [("ORT_DYLIB_PATH", "/nonexistent/libonnxruntime.so")];
    in_child("a_missing_library_says_what_to_install", &missing, || {
        let model = hollow_model()?;
        let options = FastEmbedOptions::new();
        for error in [
            refused(FastEmbedder::local(model.path(), &options))?,
            refused(FastEmbedder::hub(None, &options))?,
        ] {
            assert_eq!(error.kind(), ErrorKind::Config);
            let suggestion = error.suggestion().unwrap_or_default();
            for word in ["pip install onnxruntime", "CML_ONNXRUNTIME", "fastembed-download"] {
                assert!(suggestion.contains(word), "{error}");
            }
        }
        Ok(())
    })
}

#[test]
fn a_wrong_library_is_named() -> TestResult {
    in_child("a_wrong_library_is_named", &[], || {
        let model = hollow_model()?;
        let text = model.path().join("model.onnx");
        let absent = model.path().join("libonnxruntime.so");
        for path in [text.as_path(), absent.as_path(), model.path(), Path::new("libno-such-library.so")] {
            let options = FastEmbedOptions::new().with_onnxruntime(path);
            let error = refused(FastEmbedder::local(model.path(), &options))?;
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.message().contains(&path.display().to_string()), "{error}");
        }
        Ok(())
    })
}

#[test]
fn a_folder_without_its_files_is_named() -> TestResult {
    let folder = tempfile::tempdir()?;
    let options = FastEmbedOptions::new();
    let path = folder.path().display().to_string();
    let error = refused(FastEmbedder::local(&folder.path().join("absent"), &options))?;
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.message().contains("absent"), "{error}");

    let error = refused(FastEmbedder::local(folder.path(), &options))?;
    assert_eq!(
        (error.kind(), error.message()),
        (ErrorKind::Config, format!("{path} has no model.onnx").as_str())
    );

    fs::write(folder.path().join("model.onnx"), "no graph")?;
    let error = refused(FastEmbedder::local(folder.path(), &options))?;
    assert_eq!(
        (error.kind(), error.message()),
        (ErrorKind::Config, format!("{path} has no tokenizer.json").as_str())
    );

    fs::write(folder.path().join("tokenizer.json"), "{}")?;
    fs::write(folder.path().join("config.json"), "[]")?;
    let error = refused(FastEmbedder::local(folder.path(), &options))?;
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.message().contains("config.json"), "{error}");
    Ok(())
}

#[test]
fn an_unknown_hub_model_is_refused_before_anything_is_loaded() -> TestResult {
    let error = refused(FastEmbedder::hub(Some("nobody/no-model"), &FastEmbedOptions::new()))?;
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.message().contains("nobody/no-model"), "{error}");
    Ok(())
}

#[test]
fn a_damaged_model_is_named() -> TestResult {
    let Some(folder) = minilm() else { return Ok(()) };
    let model = hollow_model()?;
    let error = refused(FastEmbedder::local(model.path(), &with_library(&folder)))?;
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.message().contains("model.onnx"), "{error}");

    fs::copy(folder.join("model.onnx"), model.path().join("model.onnx"))?;
    let error = refused(FastEmbedder::local(model.path(), &with_library(&folder)))?;
    assert_eq!(error.kind(), ErrorKind::Config);
    Ok(())
}

#[tokio::test]
async fn vectors_have_unit_length_and_follow_meaning() -> TestResult {
    let Some(folder) = minilm() else { return Ok(()) };
    let embedder = FastEmbedder::local(&folder, &with_library(&folder))?;
    assert_eq!(embedder.model().dimensions, 384);
    assert_eq!(embedder.model().max_tokens, 256);
    assert!(!embedder.model().additive);
    let vectors = embedder.embed(&TEXTS).await?;
    assert_eq!(vectors.len(), TEXTS.len());
    for embedding in &vectors {
        assert_eq!(embedding.vector.len(), 384);
        assert!((dot(&embedding.vector, &embedding.vector) - 1.0).abs() < 1e-5);
        assert!((embedding.norm - 1.0).abs() < f32::EPSILON);
    }
    let cosine = |a: usize, b: usize| dot(&vectors[a].vector, &vectors[b].vector);
    assert!(cosine(0, 1) > 0.5 && cosine(0, 2) < 0.2, "{} {}", cosine(0, 1), cosine(0, 2));
    assert!(cosine(2, 3) > cosine(1, 3) + 0.3, "{} {}", cosine(2, 3), cosine(1, 3));
    assert_eq!(embedder.embed(&[]).await?, []);
    assert_eq!(embedder.embed_now("text"), None);
    Ok(())
}

#[tokio::test]
async fn a_batch_gives_the_vectors_of_single_texts() -> TestResult {
    let Some(folder) = minilm() else { return Ok(()) };
    let embedder = FastEmbedder::local(&folder, &with_library(&folder))?;
    let texts: Vec<&str> = TEXTS.into_iter().cycle().take(40).collect();
    let batch = embedder.embed(&texts).await?;
    for (text, expected) in texts.iter().zip(&batch) {
        let single = embedder.embed(&[text]).await?;
        assert!(dot(&single[0].vector, &expected.vector) > 0.999_99, "{text}");
    }
    Ok(())
}

#[tokio::test]
async fn a_long_text_is_cut() -> TestResult {
    let Some(folder) = minilm() else { return Ok(()) };
    let embedder = FastEmbedder::local(&folder, &with_library(&folder))?;
    let (long, longer) = ("word ".repeat(300), "word ".repeat(20_000));
    let vectors = embedder.embed(&[&long, &longer]).await?;
    assert!(dot(&vectors[0].vector, &vectors[1].vector) > 0.999_99);
    Ok(())
}

#[tokio::test]
async fn optional_files_may_be_missing_and_the_name_tells_weights_apart() -> TestResult {
    let Some(folder) = minilm() else { return Ok(()) };
    let options = with_library(&folder);
    let full = FastEmbedder::local(&folder, &options)?;
    let parent = tempfile::tempdir()?;
    let bare = parent.path().join("bare");
    fs::create_dir_all(bare.join("onnx"))?;
    fs::copy(folder.join("model.onnx"), bare.join("onnx").join("model_quantized.onnx"))?;
    fs::copy(folder.join("tokenizer.json"), bare.join("tokenizer.json"))?;
    let embedder = FastEmbedder::local(&bare, &options)?;
    assert!(embedder.model().name.starts_with("bare-"), "{}", embedder.model().name);
    assert_eq!(embedder.model().name, FastEmbedder::local(&bare, &options)?.model().name);
    assert_eq!(embedder.model().max_tokens, 512);
    assert_eq!(embedder.embed(&TEXTS).await?, full.embed(&TEXTS).await?);

    // The folder's own name, however it is spelled, and weights that differ in one byte.
    let copy = parent.path().join("copy").join("bare");
    fs::create_dir_all(&copy)?;
    let mut weights = fs::read(folder.join("model.onnx"))?;
    fs::copy(folder.join("tokenizer.json"), copy.join("tokenizer.json"))?;
    let middle = weights.len() / 2;
    weights[middle] ^= 1;
    fs::write(copy.join("model.onnx"), weights)?;
    let spelled = FastEmbedder::local(&copy.join("..").join("bare"), &options)?;
    assert!(spelled.model().name.starts_with("bare-"), "{}", spelled.model().name);
    assert_ne!(spelled.model().name, embedder.model().name);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn eight_tasks_get_their_own_vectors() -> TestResult {
    let Some(folder) = minilm() else { return Ok(()) };
    let embedder = Arc::new(FastEmbedder::local(&folder, &with_library(&folder))?);
    let expected = embedder.embed(&TEXTS).await?;
    let tasks: Vec<_> = (0..8)
        .map(|shift| {
            let embedder = Arc::clone(&embedder);
            tokio::spawn(async move {
                let texts: Vec<&str> = (0..TEXTS.len()).map(|i| TEXTS[(i + shift) % TEXTS.len()]).collect();
                embedder.embed(&texts).await
            })
        })
        .collect();
    for (shift, task) in tasks.into_iter().enumerate() {
        for (i, embedding) in task.await??.into_iter().enumerate() {
            assert_eq!(embedding, expected[(i + shift) % TEXTS.len()]);
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_short_text_does_not_wait_for_a_long_list() -> TestResult {
    let Some(folder) = minilm() else { return Ok(()) };
    let embedder = Arc::new(FastEmbedder::local(&folder, &with_library(&folder))?);
    let list = Arc::clone(&embedder);
    let long = tokio::spawn(async move {
        let texts: Vec<&str> = TEXTS.into_iter().cycle().take(600).collect();
        list.embed(&texts).await.map(|vectors| vectors.len())
    });
    embedder.embed(&["short"]).await?;
    assert!(!long.is_finished());
    // A call that is given up leaves the thread to the others.
    long.abort();
    assert_eq!(embedder.embed(&["short"]).await?.len(), 1);
    Ok(())
}

#[cfg(target_os = "linux")]
#[test]
fn dropping_the_embedder_ends_its_thread() -> TestResult {
    let Some(folder) = minilm() else { return Ok(()) };
    in_child("dropping_the_embedder_ends_its_thread", &[], || {
        // A thread that ends while they are listed has no name any more.
        let threads = || -> TestResult<usize> {
            let names = fs::read_dir("/proc/self/task")?
                .filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok());
            Ok(names.filter(|name| name.trim() == "cml-fastembed").count())
        };
        let runtime = tokio::runtime::Builder::new_current_thread().build()?;
        let embedder = FastEmbedder::local(&folder, &with_library(&folder))?;
        runtime.block_on(embedder.embed(&["the thread runs"]))?;
        assert_eq!(threads()?, 1);
        drop(embedder);
        // The kernel lists a thread for a moment longer than others wait for it.
        let start = Instant::now();
        while threads()? > 0 {
            assert!(start.elapsed() < Duration::from_secs(10), "the thread lives on");
            thread::yield_now();
        }
        Ok(())
    })
}

#[test]
fn a_host_keeps_its_own_environment() -> TestResult {
    let Some(folder) = minilm() else { return Ok(()) };
    in_child("a_host_keeps_its_own_environment", &[], || {
        let environment = ort::init_from(folder.join("libonnxruntime.so"))?.with_name("host").build()?;
        let error = refused(FastEmbedder::local(&folder, &with_library(&folder)))?;
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.suggestion().is_some_and(|hint| hint.contains("with_environment")), "{error}");
        FastEmbedder::local(&folder, &with_library(&folder).with_environment(environment))?;
        Ok(())
    })
}

#[test]
fn an_unreachable_hub_is_unavailable() -> TestResult {
    let Some(folder) = minilm() else { return Ok(()) };
    // Nothing listens on port 1.
    in_child("an_unreachable_hub_is_unavailable", &[("HF_ENDPOINT", "http://127.0.0.1:1")], || {
        let cache = tempfile::tempdir()?;
        let error = refused(FastEmbedder::hub(None, &with_library(&folder).with_cache_dir(cache.path())))?;
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.suggestion().is_some_and(|hint| hint.contains("CML_EMBEDDING_PATH")), "{error}");

        let file = cache.path().join("file");
        fs::write(&file, "")?;
        let error = refused(FastEmbedder::hub(None, &with_library(&folder).with_cache_dir(&file)))?;
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.message().contains(&file.display().to_string()), "{error}");
        Ok(())
    })
}

#[test]
fn a_hub_model_is_fetched_once() -> TestResult {
    let Some(folder) = minilm() else { return Ok(()) };
    let name = "a_hub_model_is_fetched_once";
    let cache = tempfile::tempdir()?;
    let test = || {
        let runtime = tokio::runtime::Builder::new_current_thread().build()?;
        let cache = std::env::var("CML_TEST_CACHE")?;
        let options = with_library(&folder).with_cache_dir(cache);
        let embedder = FastEmbedder::hub(Some("AllMiniLML6V2Q"), &options)?;
        assert_eq!(embedder.model().name, "Xenova/all-MiniLM-L6-v2/model_quantized");
        assert_eq!((embedder.model().dimensions, embedder.model().max_tokens), (384, 256));
        let local = FastEmbedder::local(&folder, &options)?;
        assert_eq!(runtime.block_on(embedder.embed(&TEXTS))?, runtime.block_on(local.embed(&TEXTS))?);
        Ok(())
    };
    let cache = cache.path().to_str().ok_or("a path that is not UTF-8")?;
    if std::env::var_os(CHILD).is_some() {
        return in_child(name, &[], test);
    }
    let endpoint = serve_hub(folder.clone())?;
    in_child(name, &[("HF_ENDPOINT", &endpoint), ("CML_TEST_CACHE", cache)], || Ok(()))?;
    // The cache has it now.
    in_child(name, &[("HF_ENDPOINT", "http://127.0.0.1:1"), ("CML_TEST_CACHE", cache)], || Ok(()))
}

/// Serves the folder's files as a hub would, each as the last part of an address names it.
fn serve_hub(folder: PathBuf) -> TestResult<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = format!("http://{}", listener.local_addr()?);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // A client that hangs up early is its own affair.
            let _ = answer(stream, &folder);
        }
    });
    Ok(address)
}

fn answer(mut stream: TcpStream, folder: &Path) -> TestResult {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let request = lines.next().ok_or("no request")??;
    let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut range = None;
    for line in lines {
        let line = line?.to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some((from, to)) = line.strip_prefix("range: bytes=").and_then(|range| range.split_once('-')) {
            range = Some((from.parse::<u64>()?, to.parse::<u64>().ok()));
        }
    }
    let name = path.rsplit('/').next().unwrap_or_default().replace("model_quantized", "model");
    let mut file = fs::File::open(folder.join(name))?;
    let size = file.metadata()?.len();
    let (from, to) = range.map_or((0, size - 1), |(from, to)| (from, to.unwrap_or(size - 1).min(size - 1)));
    let status = if range.is_some() { "206 Partial Content" } else { "200 OK" };
    let length = to + 1 - from;
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nContent-Range: bytes {from}-{to}/{size}\r\n\
         ETag: \"{}\"\r\nX-Repo-Commit: 0123456789abcdef\r\nConnection: close\r\n\r\n",
        path.replace('/', "-")
    )?;
    file.seek(SeekFrom::Start(from))?;
    std::io::copy(&mut file.take(length), &mut stream)?;
    Ok(())
}
