//! Makes the dashboard part of the program: as `cargo xtask dashboard` built it, or a page that says how to.

use std::{
    env,
    fmt::Write as _,
    fs, io,
    path::{Path, PathBuf},
};

fn main() -> io::Result<()> {
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    // Relative, as cargo runs this in the package's folder: what is built into this program may come from a clone that
    // shares the target folder, and a path of that one would make everything be built anew each time.
    let built = Path::new("../../dashboard/dist");
    println!("cargo::rerun-if-changed={}", built.display());
    println!("cargo::rerun-if-changed=build.rs");
    let mut files = Vec::new();
    if built.join("index.html").is_file() {
        collect(&fs::canonicalize(built)?, "", &mut files)?;
    } else {
        fs::write(out.join("index.html"), NOT_BUILT)?;
        files.push(("index.html".to_owned(), out.join("index.html")));
    }
    files.sort();
    let mut code = String::from("/// Every file by its name.\nstatic FILES: &[(&str, &[u8])] = &[\n");
    for (name, path) in files {
        let path = path.to_str().ok_or_else(|| io::Error::other("a path that is no text"))?;
        writeln!(code, "    ({name:?}, include_bytes!({path:?})),").expect("a text takes all");
    }
    code.push_str("];\n");
    fs::write(out.join("files.rs"), code)
}

/// All files below a folder, with names as they are asked for.
fn collect(folder: &Path, prefix: &str, files: &mut Vec<(String, PathBuf)>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().into_string().map_err(|_| io::Error::other("a name that is no text"))?;
        if name.starts_with('.') {
            continue;
        }
        if entry.file_type()?.is_dir() {
            collect(&entry.path(), &format!("{prefix}{name}/"), files)?;
        } else {
            files.push((format!("{prefix}{name}"), entry.path()));
        }
    }
    Ok(())
}

const NOT_BUILT: &str = "<!doctype html>
<html lang=\"en\">
<meta charset=\"utf-8\">
<title>Runyard</title>
<h1>Runyard</h1>
<p>This program was built without its dashboard. Run <code>cargo xtask dashboard</code> and build it again.
The API at <code>/graphql</code> works without it.
</html>
";
