//! Secrets, personal data, acknowledgements.

use cml::{
    memory::Role,
    ops::{Extract, UpdateRequest, WriteOutcome, WriteRequest},
};

use crate::{
    case::{Case, CaseResult, cases},
    ctx::Ctx,
    texts::{at, holds, open, sentences, some},
};

/// Texts with a secret, and the secret. Put together here so that no scanner takes them for real.
fn secrets() -> Vec<(String, String)> {
    let key = |prefix: &str, rest: &str| format!("{prefix}{rest}");
    let aws = key("AKIA", "IOSFODNN7EXAMPLE");
    let aws_secret = key("wJalrXUtnFEMI", "K7MDENGbPxRfiCYEXAMPLEKEY");
    let google = key("AIza", "SyA1234567890abcdefghijklmnopqrstuv");
    let hosting = key("ghp_", "abcdefghijklmnopqrstuvwxyz0123456789");
    let model = key("sk-proj-", "abcd1234EFGH5678ijkl9012");
    let block = key("-----BEGIN RSA PRIVATE", " KEY-----\nMIIEowIBAAKCAQEAx7");
    [
        ("password: hunter2zebra", "hunter2zebra"),
        ("The DB_PASSWORD=letmein99zebra is in the file", "letmein99zebra"),
        ("api_key = 9f8a7b6c5d4e3f", "9f8a7b6c5d4e3f"),
        ("{\"client_secret\": \"0a1b2c3d4e5f6a\"}", "0a1b2c3d4e5f6a"),
        ("Authorization: Bearer abcdef0123456789abcdef", "abcdef0123456789abcdef"),
    ]
    .map(|(text, secret)| (text.to_owned(), secret.to_owned()))
    .into_iter()
    .chain([
        (format!("use {aws} for the bucket"), aws),
        (format!("AWS_SECRET_ACCESS_KEY={aws_secret}"), aws_secret),
        (format!("maps need {google}"), google),
        (format!("push with {hosting}"), hosting),
        (format!("the model key is {model}"), model),
        (block, "MIIEowIBAAKCAQEAx7".to_owned()),
    ])
    .collect()
}

async fn secrets_are_never_stored(ctx: &Ctx) -> CaseResult {
    let session = ctx.session("s1")?;
    for (text, secret) in secrets() {
        let answer = session.try_write(text.as_str()).await?;
        assert_eq!((answer.success, answer.memory_id, answer.chunks_created), (true, None, 0), "{text:?}");
        assert!(!holds(&answer.message, &secret));
        assert_eq!(ctx.traces(&secret).await?, [""; 0], "{text:?}");
    }
    assert_eq!(ctx.stats().await?.total_memories, 0);
    Ok(())
}

async fn secrets_are_found_in_any_letter_case(ctx: &Ctx) -> CaseResult {
    for (text, _) in secrets() {
        for text in [text.to_lowercase(), text.to_uppercase()] {
            assert_eq!(ctx.try_write(text.as_str()).await?.memory_id, None, "{text:?}");
        }
    }
    Ok(())
}

async fn a_secret_inside_a_long_text_keeps_all_of_it_out(ctx: &Ctx) -> CaseResult {
    let mut lines = sentences(120);
    lines.insert(90, "The password: hunter2zebra opens it.".to_owned());
    for extract in [Extract::Full, Extract::Raw] {
        let answer = ctx.try_write(WriteRequest::new(lines.join(" ")).with_extract(extract)).await?;
        assert_eq!((answer.memory_id, answer.chunks_created), (None, 0));
    }
    assert_eq!(ctx.traces("hunter2zebra").await?, [""; 0]);
    assert_eq!(ctx.stats().await?.total_memories, 0);
    Ok(())
}

async fn a_secret_leaves_an_empty_message_in_the_session_log(ctx: &Ctx) -> CaseResult {
    let session = ctx.session("s1")?;
    session.write("The safe is under the stairs.").await?;
    session.try_write(WriteRequest::new("password: hunter2zebra").with_role(Role::Assistant)).await?;
    let log = ctx.messages("s1").await?;
    assert_eq!(log.len(), 2);
    assert_eq!((log[1].text.as_str(), log[1].role, log[1].memory_id), ("", Role::Assistant, None));
    Ok(())
}

async fn talk_about_secrets_is_stored(ctx: &Ctx) -> CaseResult {
    for text in [
        "I forgot my password again.",
        "The secret to good bread is time.",
        "We discussed the token budget.",
        "The API key was rotated last week.",
    ] {
        ctx.write(text).await?;
    }
    Ok(())
}

async fn the_gate_gives_its_reason_when_asked(ctx: &Ctx) -> CaseResult {
    let ask = |text: &str| ctx.try_write(WriteRequest::new(text).with_eval_mode(true));
    let stored = ask("The safe is under the stairs.").await?;
    assert_eq!(stored.eval_outcome, Some(WriteOutcome::Stored));
    let redacted = ask("Write to nora@example.org about it.").await?;
    assert_eq!(redacted.eval_outcome, Some(WriteOutcome::Stored));
    let secret = ask("password: hunter2zebra").await?;
    assert_eq!(secret.eval_outcome, Some(WriteOutcome::Skipped));
    let empty = ask("thanks!").await?;
    assert_eq!(empty.eval_outcome, Some(WriteOutcome::Skipped));

    let mut reasons = Vec::new();
    for answer in [stored, redacted, secret, empty] {
        let reason = some(answer.eval_reason, "eval_reason")?;
        assert!(
            !reason.is_empty() && !holds(&reason, "hunter2zebra") && !holds(&reason, "nora@"),
            "{reason}"
        );
        reasons.push(reason);
    }
    reasons.sort();
    reasons.dedup();
    assert_eq!(reasons.len(), 4, "four decisions have four reasons: {reasons:?}");

    let unasked = ctx.try_write("The key hangs in the hall.").await?;
    assert_eq!((unasked.eval_outcome, unasked.eval_reason), (None, None));
    Ok(())
}

/// Texts with personal data, and the data.
const PERSONAL: [(&str, &str); 14] = [
    ("Write to nora.lind+home@mail.example.co.uk about the roof.", "nora.lind"),
    ("Her number is +49 30 901820 99 in the office.", "30 901820"),
    ("Call (555) 123-4567 about the roof.", "123-4567"),
    ("The parcel goes to 221B Baker Street.", "221B Baker"),
    ("His SSN is 123-45-6789.", "45-6789"),
    ("Pay with 4111 1111 1111 1111 then.", "1111 1111"),
    ("Pay with 4111-1111-1111-1111 then.", "1111-1111"),
    ("Pay with 4111.1111/1111_1111 then.", "1111/1111"),
    ("Pay with 378282246310005 then.", "378282246310005"),
    ("Pay with 5 5 5 5 5 5 5 5 5 5 5 5 4 4 4 4 then.", "5 5 5 5"),
    ("The printer answers at 192.168.1.20 today.", "192.168"),
    ("The router answers at 2001:0db8:85a3:0000:0000:8a2e:0370:7334 today.", "85a3:0000"),
    ("The router answers at fe80::1 today.", "fe80::1"),
    ("Mail anna@example.org or ben@example.org about it.", "example.org"),
];

async fn personal_data_is_replaced_by_marks(ctx: &Ctx) -> CaseResult {
    for (text, data) in PERSONAL {
        let stored = ctx.get(ctx.write(text).await?).await?.text;
        assert!(!holds(&stored, data) && stored.contains("_REDACTED]"), "{text:?} became {stored:?}");
    }
    let stored = ctx.get(ctx.write("The roofer is tom@example.org, he said.").await?).await?.text;
    assert_eq!(stored, "The roofer is [EMAIL_REDACTED], he said.");
    Ok(())
}

async fn personal_data_is_replaced_before_anything_sees_it(ctx: &Ctx) -> CaseResult {
    let session = ctx.session("s1")?;
    for (text, data) in PERSONAL {
        session.write(text).await?;
        assert_eq!(ctx.traces(data).await?, [""; 0], "{text:?}");
    }
    session.write("I live at 221B Baker Street in London and my email is nora@example.org.").await?;
    assert_eq!(ctx.traces("Baker").await?, [""; 0]);
    assert_eq!(ctx.traces("nora@").await?, [""; 0]);
    Ok(())
}

async fn personal_data_in_an_update_or_raw_text_is_replaced(ctx: &Ctx) -> CaseResult {
    let id = ctx.write("The roofer has no address yet.").await?;
    ctx.update(UpdateRequest::new(id).with_text("The roofer is tom@example.org now.")).await?;
    assert_eq!(ctx.get(id).await?.text, "The roofer is [EMAIL_REDACTED] now.");
    let raw = ctx.write(WriteRequest::new("contact = tom@example.org").with_extract(Extract::Raw)).await?;
    assert_eq!(ctx.get(raw).await?.text, "contact = [EMAIL_REDACTED]");
    assert_eq!(ctx.traces("tom@").await?, [""; 0]);
    Ok(())
}

async fn a_secret_in_an_update_is_never_stored(ctx: &Ctx) -> CaseResult {
    let id = ctx.write("The door of the shed has a lock.").await?;
    // Whether such an update fails or is skipped is left open.
    let _ = ctx.update(UpdateRequest::new(id).with_text("password: hunter2zebra")).await;
    assert_eq!(ctx.traces("hunter2zebra").await?, [""; 0]);
    Ok(())
}

async fn numbers_that_are_no_personal_data_stay(ctx: &Ctx) -> CaseResult {
    for text in [
        "The driver is at version 1.2.3.4 since the upgrade.",
        "The compiler is Rust 1.95.0 there.",
        "They met on 2023-05-07 at 10:30:00 in the hall.",
        "The boat cost $1,234,567.89 in the end.",
        "The order 4111 1111 1111 1112 is late.",
        "The ticket 1234567890123 is open.",
        "The book has ISBN 978-0-13-468599-1 on it.",
    ] {
        assert_eq!(ctx.get(ctx.write(text).await?).await?.text, text);
    }
    Ok(())
}

async fn redaction_can_be_switched_off(ctx: &Ctx) -> CaseResult {
    let text = "Write to nora@example.org about the roof.";
    let plain = Ctx::new(ctx.place.another(|config| config.engine.redaction = false).await?)?;
    assert_eq!(plain.get(plain.write(text).await?).await?.text, text);
    assert_eq!(plain.try_write("password: hunter2zebra").await?.memory_id, None);
    plain.backend.close().await?;
    Ok(())
}

async fn acknowledgements_are_skipped_but_stay_in_the_session_log(ctx: &Ctx) -> CaseResult {
    let session = ctx.session("s1")?;
    let texts = ["ok", "Thanks!", "got it", "OK, thank you so much!", "👍", "sounds good"];
    for text in texts {
        let answer = session.try_write(text).await?;
        assert_eq!((answer.success, answer.memory_id, answer.chunks_created), (true, None, 0), "{text:?}");
        assert_eq!(ctx.try_write(text).await?.memory_id, None, "{text:?}");
    }
    assert_eq!(ctx.stats().await?.total_memories, 0);
    let log = ctx.messages("s1").await?;
    assert_eq!(log.iter().map(|message| message.text.as_str()).collect::<Vec<_>>(), texts);
    assert!(log.iter().all(|message| message.memory_id.is_none()));
    Ok(())
}

async fn anything_with_content_is_stored(ctx: &Ctx) -> CaseResult {
    for text in ["ok, see you at 5", "yes, Berlin", "42", "thanks for the book", "no onions", "is vegan"] {
        ctx.write(WriteRequest::new(text).with_timestamp(at("2024-03-06T10:00:00Z")?)).await?;
    }
    assert_eq!(ctx.read(open("")).await?.memories.len(), 6);
    Ok(())
}

pub(crate) const CASES: &[Case] = cases![
    secrets_are_never_stored: List Sessions Facts,
    secrets_are_found_in_any_letter_case,
    a_secret_inside_a_long_text_keeps_all_of_it_out: List,
    a_secret_leaves_an_empty_message_in_the_session_log: Sessions,
    talk_about_secrets_is_stored,
    the_gate_gives_its_reason_when_asked,
    personal_data_is_replaced_by_marks: List,
    personal_data_is_replaced_before_anything_sees_it: List Sessions Facts,
    personal_data_in_an_update_or_raw_text_is_replaced: List,
    a_secret_in_an_update_is_never_stored: List,
    numbers_that_are_no_personal_data_stay: List,
    acknowledgements_are_skipped_but_stay_in_the_session_log: Sessions,
    anything_with_content_is_stored,
];

pub(crate) const ANOTHER: &[Case] = cases![another;
    redaction_can_be_switched_off: List,
];
