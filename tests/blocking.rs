//! The blocking facade, outside and inside a running runtime.

use cml::{
    Memory, Result, blocking,
    ops::{CreateSession, ListRequest, ReadRequest, TurnRequest},
};

#[test]
fn a_blocking_memory_does_what_the_async_one_does() -> Result<()> {
    let memory = blocking::Memory::open(Memory::lite().tenant("acme"))?;
    let id = memory.remember("The boiler is serviced every October")?.expect("a memory");
    memory.batch_write(vec!["The cat is called Moth".into(), "The dog is called Waffle".into()])?;
    assert_eq!(memory.search("What is the cat called?")?.memories[0].text, "The cat is called Moth");
    assert_eq!(memory.get(id)?.record.id, id);
    assert_eq!(
        memory.iter_memories(ListRequest::new().with_limit(2usize)).collect::<Result<Vec<_>>>()?.len(),
        3
    );
    assert_eq!(memory.namespace("other")?.stats()?.total_memories, 0);
    let answers = memory.batch_read(vec![ReadRequest::new("dog"), ReadRequest::new("boiler")])?;
    assert_eq!(answers.len(), 2);
    let chat = memory.start_session(CreateSession::new())?;
    let turn = chat
        .turn(TurnRequest::new("What do I have to do in October?").with_assistant_response("The boiler."))?;
    assert!(turn.memory_context.contains("boiler"), "{}", turn.memory_context);
    memory.close()?;
    assert!(memory.stats().is_err());
    memory.close()
}

#[tokio::test(flavor = "current_thread")]
async fn it_also_works_when_called_inside_a_running_runtime() -> Result<()> {
    let memory = blocking::Memory::open(Memory::lite())?;
    memory.remember("prefers dark mode")?;
    assert_eq!(memory.search("theme preferences")?.total_count, 1);
    memory.close()
}

#[test]
fn handles_on_many_threads_share_one_memory() -> Result<()> {
    let memory = blocking::Memory::open(Memory::lite())?;
    std::thread::scope(|threads| {
        let writers: Vec<_> = (0..8)
            .map(|n| {
                let memory = memory.clone();
                threads.spawn(move || memory.remember(format!("Thread {n} was here")))
            })
            .collect();
        for writer in writers {
            assert!(writer.join().is_ok_and(|written| written.is_ok()));
        }
    });
    assert_eq!(memory.stats()?.total_memories, 8);
    Ok(())
}
