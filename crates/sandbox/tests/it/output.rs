//! Output that is never lost or doubled, input that is never doubled, limits of both.

use crate::rig::*;
use bytes::Bytes;
use futures::StreamExt;
use sandbox::{Error, ExecSpec, ExitReason, Lease, Provider, Stdin, Stream};
use std::time::Duration;

#[tokio::test]
async fn a_reader_that_comes_and_goes_gets_every_byte_once() {
    let rig = Rig::new();
    let sandbox = rig.sandbox().await;
    let exec = sandbox.exec(sh("seq 1 100000; echo end >&2")).await.unwrap();
    let id = exec.id();
    let record = sandbox.record().clone();
    drop((exec, sandbox));
    let (mut seen, mut stdout, mut stderr) = (Vec::new(), Vec::new(), Vec::new());
    let mut epoch = 2;
    loop {
        let sandbox = rig.provider.adopt(&record, Lease { epoch, ..LEASE }).await.unwrap();
        epoch += 1;
        let from = seen.len() as u64;
        let mut exec = sandbox.attach(id, from).await.unwrap();
        // Odd lengths, so that reattaching falls into the middle of lines and of chunks.
        let most = seen.len() + 40_961;
        let mut over = false;
        while seen.len() < most {
            let Some(chunk) = exec.next().await.unwrap() else {
                over = true;
                break;
            };
            assert_eq!(chunk.offset, seen.len() as u64);
            let keep = chunk.bytes.len().min(most - seen.len());
            seen.extend_from_slice(&chunk.bytes[..keep]);
            let stream = if chunk.stream == Stream::Stdout { &mut stdout } else { &mut stderr };
            stream.extend_from_slice(&chunk.bytes[..keep]);
        }
        if over {
            break;
        }
    }
    assert!(epoch > 5, "it was read at once");
    // Which of two pipes was written to first within a moment cannot be told; the order within each is exact.
    let expected: Vec<u8> = (1..=100_000).flat_map(|n| format!("{n}\n").into_bytes()).collect();
    assert!(stdout == expected, "{} bytes instead of {}", stdout.len(), expected.len());
    assert_eq!(stderr, b"end\n");
}

#[tokio::test]
async fn both_streams_keep_their_order() {
    let rig = Rig::new();
    let sandbox = rig.sandbox().await;
    let script = "for i in 1 2 3 4 5; do echo o$i; sleep 0.05; echo e$i >&2; sleep 0.05; done";
    let mut exec = sandbox.exec(sh(script)).await.unwrap();
    let chunks: Vec<_> = exec.output().map(Result::unwrap).collect().await;
    let text: Vec<u8> = chunks.iter().flat_map(|chunk| chunk.bytes.to_vec()).collect();
    assert_eq!(String::from_utf8(text).unwrap(), "o1\ne1\no2\ne2\no3\ne3\no4\ne4\no5\ne5\n");
    for chunk in chunks {
        assert_eq!(chunk.stream == Stream::Stdout, chunk.bytes[0] == b'o');
    }
}

#[tokio::test]
async fn a_slow_reader_holds_up_nothing_else() {
    let rig = Rig::new();
    let sandbox = rig.sandbox().await;
    let mut slow = sandbox.exec(sh("head -c 20M /dev/zero")).await.unwrap();
    let first = slow.next().await.unwrap().unwrap();
    // More than all windows and buffers between: it can only end because the spool takes it.
    assert_eq!(slow.wait().await.unwrap().code, Some(0));
    assert_eq!(say(&sandbox, "echo quick").await, "quick");
    sandbox.renew(LEASE).await.unwrap();
    let mut length = first.bytes.len();
    while let Some(chunk) = slow.next().await.unwrap() {
        length += chunk.bytes.len();
    }
    assert_eq!(length, 20 << 20);
}

#[tokio::test]
async fn input_is_taken_once_however_often_it_is_sent() {
    let rig = Rig::new();
    let sandbox = rig.sandbox().await;
    let mut spec = sh("cat");
    spec.stdin = Stdin::Pipe;
    let exec = sandbox.exec(spec).await.unwrap();
    assert_eq!(exec.stdin_next(), 0);
    assert_eq!(exec.write_stdin(0, bytes("a")).await.unwrap(), 1);
    assert_eq!(exec.write_stdin(1, bytes("b")).await.unwrap(), 2);
    // A new server does not know how far the old one came and sends its whole journal again.
    let again = rig.provider.adopt(sandbox.record(), Lease { epoch: 2, ..LEASE }).await.unwrap();
    let other = again.attach(exec.id(), 0).await.unwrap();
    assert_eq!(other.stdin_next(), 2);
    for (seq, text) in (0..).zip(["a", "b", "c"]) {
        other.write_stdin(seq, bytes(text)).await.unwrap();
    }
    assert!(matches!(other.write_stdin(4, bytes("e")).await, Err(Error::Refused(_))), "a gap");
    other.close_stdin().await.unwrap();
    assert!(matches!(other.write_stdin(3, bytes("d")).await, Err(Error::Closed)));
    assert_eq!(other.run_to_end(100).await.unwrap().stdout, b"abc");
}

#[tokio::test]
async fn much_input_waits_for_a_slow_reader() {
    let rig = Rig::new();
    let sandbox = rig.sandbox().await;
    let mut spec = sh("sleep 0.5; sha256sum");
    spec.stdin = Stdin::Pipe;
    let exec = sandbox.exec(spec).await.unwrap();
    let part = Bytes::from(vec![7; 256 << 10]);
    for seq in 0..40 {
        exec.write_stdin(seq, part.clone()).await.unwrap();
    }
    exec.close_stdin().await.unwrap();
    let told = exec.run_to_end(1000).await.unwrap().stdout;
    let expected = say(&sandbox, "head -c 10M /dev/zero | tr '\\0' '\\7' | sha256sum").await;
    assert_eq!(String::from_utf8(told).unwrap().trim_end(), expected);
}

#[tokio::test]
async fn too_long_and_too_much_are_ended_and_say_so() {
    let rig = Rig::new();
    let sandbox = rig.sandbox().await;
    let mut long = sh("trap '' TERM; while :; do sleep 0.05; done");
    long.time_limit = Some(Duration::from_millis(300));
    let status = sandbox.exec(long).await.unwrap().wait().await.unwrap();
    assert_eq!((status.reason, status.code), (ExitReason::TimedOut, None));

    let mut loud = ExecSpec::new(new_exec(), ["/usr/bin/yes"]);
    loud.output_quota = 100_000;
    let done = sandbox.exec(loud).await.unwrap().run_to_end(1 << 20).await.unwrap();
    assert_eq!(done.status.reason, ExitReason::OutputQuota);
    assert!((90_000..=100_000).contains(&done.stdout.len()), "{}", done.stdout.len());

    let short = sandbox.exec(sh("echo 0123456789")).await.unwrap().run_to_end(4).await.unwrap();
    assert_eq!((short.stdout.as_slice(), short.truncated), (&b"0123"[..], true));
}

#[tokio::test]
async fn a_finished_exec_is_kept_until_it_is_forgotten() {
    let rig = Rig::new();
    let sandbox = rig.sandbox().await;
    let exec = sandbox.exec(sh("echo kept; exit 7")).await.unwrap();
    let id = exec.id();
    exec.wait().await.unwrap();
    drop(exec);
    let listed = sandbox.list().await.unwrap();
    assert_eq!((listed.len(), listed[0].id, listed[0].output), (1, id, 5));
    assert_eq!(listed[0].status.as_ref().unwrap().code, Some(7));
    let done = sandbox.attach(id, 2).await.unwrap().run_to_end(100).await.unwrap();
    assert_eq!((done.stdout.as_slice(), done.status.code), (&b"pt\n"[..], Some(7)));
    let mut same = sh("true");
    same.id = id;
    assert!(matches!(sandbox.exec(same).await, Err(Error::Exists)));
    sandbox.forget(id).await.unwrap();
    assert!(matches!(sandbox.attach(id, 0).await, Err(Error::NotFound(_))));
    let spool = local(sandbox.record()).dir.join("ctl/spool");
    assert_eq!(std::fs::read_dir(spool).unwrap().count(), 0, "its output was left");
    let running = sandbox.exec(sh("sleep 600")).await.unwrap();
    assert!(sandbox.forget(running.id()).await.is_err());
}

/// Most memory that a process ever had, in bytes (`VmHWM` of proc(5)).
fn peak(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

#[tokio::test]
async fn output_of_any_shape_comes_whole_and_costs_no_memory() {
    const MUCH: u64 = 128 << 20;
    let rig = Rig::new();
    let sandbox = rig.sandbox().await;
    let shapes = [
        // One line without an end, bytes that are no text, lines without a letter, a line for each stream in turn.
        ("head -c 128M /dev/zero | tr '\\0' x", 128 << 20, Some(b'x')),
        ("head -c 128M /dev/zero | tr '\\0' '\\377'", 128 << 20, Some(0xFF)),
        ("head -c 128M /dev/zero", 128 << 20, Some(0)),
        ("yes '' | head -n 10000000", 10_000_000, Some(b'\n')),
        ("yes error | head -n 2000000 >&2", 12_000_000, None),
        ("for i in $(seq 20000); do echo o; echo e >&2; done", 80_000, None),
    ];
    for (script, length, all) in shapes {
        let mut spec = sh(script);
        spec.output_quota = MUCH + (1 << 20);
        let mut exec = sandbox.exec(spec).await.unwrap();
        let id = exec.id();
        let mut seen = 0_u64;
        while let Some(chunk) = exec.next().await.unwrap() {
            assert_eq!(chunk.offset, seen, "{script}");
            seen += chunk.bytes.len() as u64;
            if let Some(byte) = all {
                assert!(chunk.bytes == vec![byte; chunk.bytes.len()], "{script}");
            }
        }
        assert_eq!(seen, length, "{script}");
        assert_eq!(exec.wait().await.unwrap().reason, ExitReason::Exited, "{script}");
        drop(exec);
        sandbox.forget(id).await.unwrap();
    }
    let shim = u32::try_from(local(sandbox.record()).shim.unwrap().pid).unwrap();
    assert!(peak(shim) < 32 << 20, "the shim grew to {} bytes", peak(shim));
}

#[tokio::test]
async fn a_flood_ends_at_its_quota_with_all_that_it_allows_kept() {
    let rig = Rig::new();
    let sandbox = rig.sandbox().await;
    // Ten times the quota and more would follow, as fast as the kernel makes it.
    for (script, each) in [("cat /dev/zero", b'\0'), ("yes '' >&2", b'\n')] {
        let mut spec = sh(script);
        spec.output_quota = 64 << 20;
        let mut exec = sandbox.exec(spec).await.unwrap();
        let status = exec.wait().await.unwrap();
        assert_eq!(status.reason, ExitReason::OutputQuota, "{script}");
        let mut seen = 0_u64;
        while let Some(chunk) = exec.next().await.unwrap() {
            assert!(chunk.bytes == vec![each; chunk.bytes.len()], "{script}");
            seen += chunk.bytes.len() as u64;
        }
        assert!((60 << 20..=64 << 20).contains(&seen), "{script}: {seen} bytes were kept");
        assert_eq!(say(&sandbox, "echo alive").await, "alive");
    }
}
