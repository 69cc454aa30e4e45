//! What must hold for any input: the body of a fuzz target, also run as a test. Not part of the public face.

use super::{Bundle, ImportLimits, header, paths};
use std::path::{Component, Path};

const ID: &str = "0123456789abcdef0123456789abcdef01234567";

/// Takes `input` for a bundle, for what git prints about its links, and for paths and targets of links.
///
/// Nothing makes it panic; a header that is taken ends where its pack begins and stays within the limits; a path that is
/// let through leads to a place below the top that no file system takes for `.git`, and so does a link without a problem.
pub fn header_and_paths(input: &[u8]) {
    let limits = ImportLimits { bundle_bytes: 1 << 20, objects: 1000, ..ImportLimits::default() };
    take_header(input, &limits);
    take_header(&[b"# v2 git bundle\n", input].concat(), &limits);
    take_header(&[format!("# v3 git bundle\n{ID} HEAD\n").as_bytes(), input].concat(), &limits);

    let mut rest = input;
    while let Some(content) = paths::next_of_batch(&mut rest) {
        assert!(content.len() + rest.len() < input.len());
    }

    let text = String::from_utf8_lossy(input);
    let mut parts = text.splitn(2, '\n');
    let (path, target) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    for path in [path, target] {
        if paths::refused(path).is_none() {
            assert!(stays_below(Path::new(path), 0), "{path:?} is let through");
            assert!(!path.chars().any(|c| c.is_control() || c == '\0'), "{path:?} is let through");
        }
    }
    if paths::refused(path).is_none() && paths::link_problem(path, target).is_none() {
        assert!(stays_below(Path::new(target), path.split('/').count() - 1), "{path:?} -> {target:?} is let through");
    }
}

fn take_header(bytes: &[u8], limits: &ImportLimits) {
    let Ok(header) = header::read(Bundle::Bytes(bytes), limits) else { return };
    let at = usize::try_from(header.pack_at).expect("small");
    let pack = bytes.get(at..at + 12).expect("the pack's own head is there");
    let objects = u32::from_be_bytes([pack[8], pack[9], pack[10], pack[11]]);
    assert!(pack.starts_with(b"PACK") && u64::from(objects) <= limits.objects);
    assert!(bytes.len() as u64 <= limits.bundle_bytes && bytes[..at].ends_with(b"\n\n"));
    let named = format!("{} HEAD\n", header.head);
    assert!(bytes[..at].windows(named.len()).any(|window| window == named.as_bytes()), "the head is made up");
}

/// Whether a path that starts `depth` directories below the top stays below it and out of `.git`, judged the simplest way.
fn stays_below(path: &Path, depth: usize) -> bool {
    let mut depth = depth;
    path.components().all(|part| match part {
        Component::Normal(name) => {
            depth += 1;
            !name.eq_ignore_ascii_case(".git") && !name.eq_ignore_ascii_case("git~1")
        }
        Component::CurDir => true,
        Component::ParentDir => {
            let inside = depth > 0;
            depth = depth.saturating_sub(1);
            inside
        }
        Component::RootDir | Component::Prefix(_) => false,
    })
}

/// What a search may start with.
pub fn seeds() -> Vec<Vec<u8>> {
    let texts = [
        format!("# v2 git bundle\n-{ID} base\n{ID} HEAD\n\nPACK\0\0\0\x02\0\0\x01\x02rest"),
        format!("# v3 git bundle\n@object-format=sha256\n{ID}{} HEAD\n\nPACK\0\0\0\x02\0\0\0\x01", &ID[..24]),
        format!("-{ID}\n@filter=x\n\nPACK\0\0\0\x02\0\0\0\x01"),
        "src/a\n../.git/config".to_owned(),
        ".g\u{200c}it./x\na/../../b".to_owned(),
        "a\\.GIT::$INDEX_ALLOCATION\n/etc".to_owned(),
        "3\nabc\n2\nde\n18446744073709551615\nx".to_owned(),
    ];
    texts.into_iter().map(String::into_bytes).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            header_and_paths(&bytes);
        }

        #[test]
        fn odd_paths_and_links_are_survived(text in "([.]{1,3}|[.][gG][iI][tT]|git~1|[ab:/\\\\~ .]|\u{200c}|\n|/){0,14}") {
            header_and_paths(text.as_bytes());
        }

        #[test]
        fn spoiled_seeds_are_survived(
            seed in any::<prop::sample::Index>(),
            spoil in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        ) {
            let seeds = seeds();
            let mut bytes = seeds[seed.index(seeds.len())].clone();
            for (at, value) in spoil {
                let at = at.index(bytes.len());
                bytes[at] = value;
            }
            header_and_paths(&bytes);
        }
    }
}
