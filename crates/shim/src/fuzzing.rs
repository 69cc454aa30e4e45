//! What must hold for any input: the bodies of the fuzz targets, also run as tests. Not part of the public face.

use crate::{
    archive,
    frame::{self, MAX_BODY, MAX_HEADER, PREFIX},
    proto::{
        Answer, Call, Ended, ExecInfo, ExecRequest, ExitReason, ExitStatus, Forward, OPEN_ROOTS, Refusal, Reply,
        Request, Stdin, Stream,
    },
};
use rustix::fs::{Mode, OFlags};
use serde::{Serialize, de::DeserializeOwned};
use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs,
    io::{self, Read},
    os::{
        fd::OwnedFd,
        unix::fs::{FileTypeExt, MetadataExt, PermissionsExt},
    },
    path::{Component, Path, PathBuf},
};
use tar::{Archive, EntryType, Header};

/// Reads `bytes` as frames of a client and as frames of a shim, given out in pieces as `cuts` says.
///
/// No bytes make it panic, no frame is larger than the caps, what was read is the same for any cutting, and what is taken
/// as a frame comes out the same after being written again.
pub fn frames_any(bytes: &[u8], cuts: &[u8]) {
    frames_of::<Call>(bytes, cuts);
    frames_of::<Answer>(bytes, cuts);
    // A header alone, so that the search need not find the lengths.
    let header = &bytes[..bytes.len().min(MAX_HEADER)];
    let mut framed = u32::try_from(header.len()).unwrap_or(0).to_be_bytes().to_vec();
    framed.extend([0; PREFIX - 4]);
    framed.extend_from_slice(header);
    frames_of::<Call>(&framed, cuts);
    frames_of::<Answer>(&framed, cuts);
}

fn frames_of<H: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(bytes: &[u8], cuts: &[u8]) {
    let mut whole = bytes;
    let mut pieces = Pieces { rest: bytes, cuts, at: 0 };
    loop {
        let before = whole.len();
        let (frame, same) = (frame::read::<H>(&mut whole), frame::read::<H>(&mut pieces));
        assert!(before - whole.len() <= PREFIX + MAX_HEADER + MAX_BODY, "a frame took more than the caps");
        let (Ok(Some((header, body))), Ok(Some(same))) = (&frame, &same) else {
            assert_eq!(format!("{frame:?}"), format!("{same:?}"), "it matters how the stream is cut");
            return;
        };
        assert_eq!((header, body), (&same.0, &same.1), "it matters how the stream is cut");
        assert!(body.len() <= MAX_BODY);
        let mut again = Vec::new();
        // Escapes may make a header longer than it came.
        if frame::write(&mut again, header, body).is_ok() {
            let back = frame::read::<H>(&mut again.as_slice());
            assert!(
                matches!(&back, Ok(Some(back)) if (&back.0, &back.1) == (header, body)),
                "a frame changed: {back:?}"
            );
        }
    }
}

/// A reader that gives as many bytes at once as `cuts` says, over and over, and is interrupted where it says 0.
struct Pieces<'a> {
    rest: &'a [u8],
    cuts: &'a [u8],
    at: usize,
}

impl Read for Pieces<'_> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let cut = self.cuts.get(self.at % (self.cuts.len() + 1)).copied();
        self.at += 1;
        if cut == Some(0) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let length = to.len().min(cut.map_or(usize::MAX, usize::from));
        self.rest.read(&mut to[..length])
    }
}

/// Unpacks the archive that `choices` describes (see [`tar_of`]) below the empty directory `scratch`, then takes it for
/// the bytes of an archive and does so again. Leaves `scratch` empty.
pub fn archive_any(scratch: &Path, choices: &[u8]) {
    unpack_any(scratch, &tar_of(choices));
    let mut bytes = choices.to_vec();
    mend_checksums(&mut bytes);
    unpack_any(scratch, &bytes);
}

/// Unpacks `tar` into `/code/in` of a root in which links lead out of it, and packs the result.
///
/// Nothing outside of `/code/in` changes, nothing but files, directories and links that stay within comes to be, and when
/// the archive is accepted then exactly what it lists is there. What is packed lists exactly what is there.
fn unpack_any(scratch: &Path, tar: &[u8]) {
    let at = scratch.join("root");
    let into = at.join("code/in");
    for dir in ["root/code/in/old", "root/code/out", "root/etc"] {
        fs::create_dir_all(scratch.join(dir)).expect("a directory");
    }
    fs::write(scratch.join("secret"), "secret").expect("a file");
    fs::write(at.join("code/out/target"), "target").expect("a file");
    let planted = [("planted", "../out"), ("file", "../out/target"), ("absolute", "/tmp"), ("old/up", "../../../..")];
    for (name, target) in planted {
        std::os::unix::fs::symlink(target, into.join(name)).expect("a link");
    }
    let root = rustix::fs::open(&at, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).expect("open");
    let outside =
        |tree: Tree| -> Tree { tree.into_iter().filter(|(path, _)| !path.starts_with("root/code/in")).collect() };
    let (before, old) = (outside(walk(scratch)), walk(&into));

    let result = archive::unpack(&root, "/code/in", tar);
    assert_eq!(outside(walk(scratch)), before, "something outside changed");
    let now = walk(&into);
    for (path, thing) in &now {
        match thing {
            Thing::Link(target) if old.get(path) != Some(thing) => {
                assert!(stays_within(path, target), "{} leads out, to {}", path.display(), target.display());
            }
            Thing::Other => panic!("{} is neither file, directory nor link", path.display()),
            _ => {}
        }
    }
    if result.is_ok() {
        let mut expected = old;
        listed_by(tar, &mut expected);
        assert_eq!(now, expected, "what is there is not what the archive lists");
    }
    pack_all(&root, &now);
    for dir in OPEN_ROOTS.iter().map(|open| open.trim_start_matches('/')).chain(["code/in/planted", "etc"]) {
        let there = at.join(dir).exists();
        let refused = archive::unpack(&root, &format!("/{dir}/../x"), tar).is_err();
        assert!(refused && there == at.join(dir).exists(), "{dir}/.. was taken for a place");
    }
    fs::remove_dir_all(&at).expect("removed");
    fs::remove_file(scratch.join("secret")).expect("removed");
}

fn pack_all(root: &OwnedFd, there: &Tree) {
    let mut packed = Vec::new();
    archive::pack(root, "/code/in", &mut packed).expect("what was unpacked can be packed");
    let mut listed = Tree::new();
    listed_by(&packed, &mut listed);
    assert_eq!(&listed, there, "what was packed is not what is there");
}

type Tree = BTreeMap<PathBuf, Thing>;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Thing {
    Dir,
    /// Mode and content.
    File(u32, Vec<u8>),
    Link(PathBuf),
    Other,
}

/// Everything below `top`, which is left out; links are not followed.
fn walk(top: &Path) -> Tree {
    let mut tree = Tree::new();
    let mut open = vec![PathBuf::new()];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(top.join(&dir)).expect("a directory") {
            let path = dir.join(entry.expect("an entry").file_name());
            let full = top.join(&path);
            let meta = fs::symlink_metadata(&full).expect("metadata");
            let kind = meta.file_type();
            assert!(meta.mode() & 0o7000 == 0 && (kind.is_dir() || meta.nlink() == 1), "{}", path.display());
            let thing = if kind.is_dir() {
                open.push(path.clone());
                Thing::Dir
            } else if kind.is_file() {
                let mode = meta.permissions().mode() & 0o777;
                // Root reads any file; others need a mode that lets them.
                fs::set_permissions(&full, fs::Permissions::from_mode(mode | 0o400)).expect("a mode");
                let content = fs::read(&full).expect("a file");
                fs::set_permissions(&full, fs::Permissions::from_mode(mode)).expect("a mode");
                Thing::File(mode, content)
            } else if kind.is_symlink() {
                Thing::Link(fs::read_link(&full).expect("a link"))
            } else {
                assert!(kind.is_fifo() || kind.is_socket() || kind.is_block_device() || kind.is_char_device());
                Thing::Other
            };
            tree.insert(path, thing);
        }
    }
    tree
}

/// What a tree becomes by an archive that is accepted.
fn listed_by(tar: &[u8], tree: &mut Tree) {
    let mut archive = Archive::new(tar);
    for entry in archive.entries().expect("readable") {
        let mut entry = entry.expect("readable");
        let parts = entry.path().expect("readable").into_owned();
        let parts: Vec<_> = parts.components().filter(|part| !matches!(part, Component::CurDir)).collect();
        assert!(parts.iter().all(|part| matches!(part, Component::Normal(_))), "{parts:?} was accepted");
        let mut path = PathBuf::new();
        let is_dir = entry.header().entry_type() == EntryType::Directory;
        let dirs = if is_dir { parts.len() } else { parts.len() - 1 };
        for part in &parts[..dirs] {
            path.push(part);
            let there = tree.entry(path.clone()).or_insert(Thing::Dir);
            assert_eq!(there, &Thing::Dir, "{} is no directory and was gone through", path.display());
        }
        if is_dir {
            continue;
        }
        path.push(parts[dirs]);
        assert_ne!(tree.get(&path), Some(&Thing::Dir), "the directory {} was replaced", path.display());
        let thing = if entry.header().entry_type() == EntryType::Symlink {
            Thing::Link(entry.link_name().expect("readable").expect("a target").into_owned())
        } else {
            let mut content = Vec::new();
            entry.read_to_end(&mut content).expect("readable");
            Thing::File(entry.header().mode().unwrap_or(0o644) & 0o777, content)
        };
        tree.insert(path, thing);
    }
}

/// Whether a link leads to a place below the top, judged by names alone.
fn stays_within(link: &Path, target: &Path) -> bool {
    let mut place: Vec<&OsStr> = link.parent().into_iter().flatten().collect();
    target.components().all(|part| match part {
        Component::Normal(name) => {
            place.push(name);
            true
        }
        Component::ParentDir => place.pop().is_some(),
        Component::CurDir => true,
        Component::RootDir | Component::Prefix(_) => false,
    })
}

/// An archive that is described by `choices`: kinds, names out of a few parts, sizes that lie, long names, extensions.
pub fn tar_of(choices: &[u8]) -> Vec<u8> {
    const PARTS: [&[u8]; 16] = [
        b"a",
        b"b",
        b"d",
        b"..",
        b".",
        b"",
        b"planted",
        b"file",
        b"old",
        b"up",
        b"absolute",
        b"in",
        b"\xff",
        b"a\nb",
        b"etc",
        b"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    ];
    const KINDS: [u8; 16] = *b"0000055522271346";
    let mut rest = choices.iter().copied();
    let mut next = || rest.next();
    let mut tar = Vec::new();
    while let Some(kind) = next() {
        let mut name = || {
            let shape = next().unwrap_or(0);
            let mut name = if shape & 0x80 == 0 { Vec::new() } else { b"/".to_vec() };
            for at in 0..=shape % 4 {
                if at > 0 {
                    name.push(b'/');
                }
                name.extend(PARTS[usize::from(next().unwrap_or(0) % 16)]);
            }
            name
        };
        let (path, link) = (name(), name());
        let (mode, length, lie) = (next().unwrap_or(0), next().unwrap_or(0), next().unwrap_or(0));
        let content: Vec<u8> = (0..usize::from(length) * 5 % 1200).map(|at| at.to_le_bytes()[0] ^ mode).collect();
        match lie % 16 {
            1 => push(&mut tar, b'L', b"././@LongLink", b"", 0, &path, None),
            2 => push(&mut tar, b'K', b"././@LongLink", b"", 0, &link, None),
            3 => push(&mut tar, b'x', b"pax", b"", 0, &extension("path", &path), None),
            4 => push(&mut tar, b'x', b"pax", b"", 0, &extension("linkpath", &link), None),
            5 => push(&mut tar, b'x', b"pax", b"", 0, &extension("size", length.to_string().as_bytes()), None),
            6 => push(&mut tar, b'g', b"pax", b"", 0, &extension("path", &path), None),
            7 => push(&mut tar, b'x', b"pax", b"", 0, &extension("GNU.sparse.realsize", b"99999999999"), None),
            _ => {}
        }
        let claimed = match lie / 16 {
            1 => Some(u64::from(mode) * 7),
            2 => Some(u64::MAX),
            3 => Some(8 << 30),
            _ => None,
        };
        let kind = KINDS[usize::from(kind % 16)];
        let content = if kind == b'0' || lie & 8 != 0 { content } else { Vec::new() };
        push(&mut tar, kind, &path, &link, u32::from(mode) << 4 | u32::from(lie), &content, claimed);
    }
    tar.extend([0; 1024]);
    tar
}

fn push(tar: &mut Vec<u8>, kind: u8, path: &[u8], link: &[u8], mode: u32, content: &[u8], claimed: Option<u64>) {
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::new(kind));
    header.set_mode(mode);
    header.set_size(claimed.unwrap_or(content.len() as u64));
    // Set by hand: the setters refuse the names that a hostile archive has.
    let old = header.as_old_mut();
    for (field, text) in [(&mut old.name, path), (&mut old.linkname, link)] {
        let length = text.len().min(field.len());
        field[..length].copy_from_slice(&text[..length]);
    }
    header.set_cksum();
    tar.extend_from_slice(header.as_bytes());
    tar.extend_from_slice(content);
    tar.resize(tar.len().next_multiple_of(512), 0);
}

fn extension(key: &str, value: &[u8]) -> Vec<u8> {
    let rest = [b" ", key.as_bytes(), b"=", value, b"\n"].concat();
    let mut length = rest.len() + 1;
    while length != rest.len() + length.to_string().len() {
        length = rest.len() + length.to_string().len();
    }
    [length.to_string().into_bytes(), rest].concat()
}

/// Makes every block that may be a header pass for one, which no search would find by itself.
fn mend_checksums(bytes: &mut [u8]) {
    for block in bytes.as_chunks_mut::<512>().0 {
        if block.iter().any(|byte| *byte != 0) {
            block[148..156].fill(b' ');
            let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
            block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        }
    }
}

/// What a search for broken frames may start with.
pub fn frame_seeds() -> Vec<Vec<u8>> {
    let exec = ExecRequest {
        exec: "a-1".to_owned(),
        argv: vec!["sh".to_owned()],
        env: vec![("A".to_owned(), "b".to_owned())],
        cwd: "/code".to_owned(),
        stdin: Stdin::Pipe,
        time_limit_ms: Some(1),
        output_quota: 2,
        processes: None,
        process_memory: Some(3),
        allow_ptrace: false,
    };
    let asked = [
        Request::Hello { version: 1, epoch: -1 },
        Request::Exec(exec),
        Request::Attach { exec: "a".to_owned(), from: 0, window: u64::MAX },
        Request::KillAll,
        Request::Data { stream: 1, last: true },
        Request::Forward(Forward { port: 1, socket: "s".to_owned() }),
    ];
    let status = || ExitStatus { code: Some(0), signal: None, reason: ExitReason::Exited, disk_full: false };
    let info = ExecInfo { exec: "a".to_owned(), status: Some(status()), output: 1, stdin_next: 2 };
    let answered = [
        Answer::Reply { call: 1, result: Ok(Reply::Execs { execs: vec![info] }) },
        Answer::Reply { call: 2, result: Err(Refusal::Gap { next: 3 }) },
        Answer::Output { stream: 1, offset: 2, from: Stream::Stderr },
        Answer::End { stream: 1, result: Ok(Ended::Output { total: 1, status: status() }) },
    ];
    let mut seeds = Vec::new();
    let mut all = Vec::new();
    for call in (0..).zip(asked).map(|(call, request)| Call { call, request }) {
        frame::write(&mut all, &call, b"body").expect("small");
        seeds.push(serde_json::to_vec(&call).expect("JSON"));
    }
    seeds.push(std::mem::take(&mut all));
    for answer in answered {
        frame::write(&mut all, &answer, b"body").expect("small");
        seeds.push(serde_json::to_vec(&answer).expect("JSON"));
    }
    seeds.push(all);
    seeds
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_bytes_are_frames_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..400), cuts in prop::collection::vec(any::<u8>(), 0..6)) {
            frames_any(&bytes, &cuts);
        }

        #[test]
        fn spoiled_frames_are_frames_or_refused(
            seed in any::<prop::sample::Index>(),
            spoil in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
            cuts in prop::collection::vec(any::<u8>(), 0..6),
        ) {
            let seeds = frame_seeds();
            let mut bytes = seeds[seed.index(seeds.len())].clone();
            for (at, value) in spoil {
                let at = at.index(bytes.len());
                bytes[at] = value;
            }
            frames_any(&bytes, &cuts);
        }

        #[test]
        fn an_archive_makes_what_it_lists_and_nothing_outside(choices in prop::collection::vec(any::<u8>(), 0..160)) {
            let scratch = tempfile::tempdir().expect("a directory");
            archive_any(scratch.path(), &choices);
        }
    }

    #[test]
    fn most_archives_of_the_search_are_well_formed() {
        let tar = tar_of(&[0, 0, 0, 0, 0, 0o77, 9, 0, 3, 1, 2, 1, 0, 0, 9, 0, 0, 7, 1, 1, 0, 0, 0, 0, 9, 0]);
        let names: Vec<_> = Archive::new(tar.as_slice())
            .entries()
            .expect("an archive")
            .map(|entry| entry.expect("an entry").path().expect("a name").into_owned())
            .collect();
        assert_eq!(names, [Path::new("a"), Path::new("d/b"), Path::new("b/a")]);
    }

    /// An endless name would be kept in memory whole.
    #[test]
    fn a_name_without_end_is_refused_before_it_is_read() {
        struct Counted<R>(R, u64);
        impl<R: Read> Read for Counted<R> {
            fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
                let length = self.0.read(to)?;
                self.1 += length as u64;
                Ok(length)
            }
        }
        let dir = tempfile::tempdir().expect("a directory");
        let root = rustix::fs::open(dir.path(), OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).expect("open");
        for kind in [b'L', b'K', b'x'] {
            let mut start = Vec::new();
            push(&mut start, kind, b"name", b"", 0, b"", Some(1 << 30));
            let mut tar = Counted(start.as_slice().chain(io::repeat(b'a').take(1 << 30)), 0);
            assert!(archive::unpack(&root, "/code", &mut tar).is_err());
            assert!(tar.1 < 1 << 20, "{} bytes were read", tar.1);
        }
    }
}
