//! Enough of the shell's grammar to see which commands a line runs, and whether that is all that it runs.

/// How deep scripts within scripts are followed.
const MAX_DEPTH: usize = 6;
const RESERVED: [&str; 20] = [
    "if", "then", "else", "elif", "fi", "for", "while", "until", "do", "done", "case", "esac", "select", "function",
    "time", "!", "[[", "coproc", "{", "}",
];
const WRAPPERS: [&str; 15] = [
    "env", "timeout", "nice", "nohup", "stdbuf", "time", "command", "exec", "xargs", "sudo", "doas", "setsid",
    "ionice", "builtin", "busybox",
];
const SHELLS: [&str; 5] = ["sh", "bash", "dash", "zsh", "ksh"];

/// What a command line runs.
#[derive(Debug, Default)]
pub(super) struct Script {
    commands: Vec<Command>,
    /// Commands in substitutions, behind wrappers, in scripts given to a shell.
    hidden: Vec<Command>,
    odd: Option<&'static str>,
}

/// One simple command.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Command {
    assignments: Vec<String>,
    words: Vec<Word>,
    redirects: Vec<Redirect>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Word {
    /// Without quotes.
    pub(super) text: String,
    /// What it stands for is only known when it runs: a variable, braces, a substitution.
    pub(super) expands: bool,
    /// It begins with a pattern, so that it may become anything that a file is named.
    pub(super) any_name: bool,
    /// Something in it was quoted.
    quoted: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Redirect {
    operator: String,
    target: String,
}

impl Script {
    /// Reads a command line. What is not understood is [odd](Script::odd), never an error.
    pub(super) fn read(text: &str) -> Self {
        Self::read_at(text, 0)
    }

    /// What makes it more than a list of simple commands.
    pub(super) fn odd(&self) -> Option<&'static str> {
        self.odd
    }

    /// Whether it is nothing but simple commands, one after the other.
    pub(super) fn plain(&self) -> bool {
        self.odd.is_none()
    }

    /// The simple commands.
    pub(super) fn commands(&self) -> &[Command] {
        &self.commands
    }

    /// The simple commands and all that could be found behind them.
    pub(super) fn everything(&self) -> impl Iterator<Item = &Command> {
        self.commands.iter().chain(&self.hidden)
    }

    fn read_at(text: &str, depth: usize) -> Self {
        let mut lexer =
            Lexer { chars: text.chars().collect(), at: 0, odd: None, nested: Vec::new(), heredocs: Vec::new() };
        let tokens = lexer.tokens();
        let mut script = Self { odd: lexer.odd, ..Self::default() };
        for tokens in tokens.split(|token| *token == Token::Separator) {
            script.command(tokens);
        }
        let mut inner = lexer.nested;
        let mut index = 0;
        let mut queue = script.commands.clone();
        while let Some(command) = queue.get(index).cloned() {
            index += 1;
            inner.extend(command.inner_scripts());
            if index < 200 {
                let wrapped = command.wrapped();
                script.hidden.extend(wrapped.iter().cloned());
                queue.extend(wrapped);
            }
        }
        if depth < MAX_DEPTH {
            for text in inner {
                let nested = Self::read_at(&text, depth + 1);
                script.hidden.extend(nested.commands);
                script.hidden.extend(nested.hidden);
            }
        }
        script
    }

    fn command(&mut self, tokens: &[Token]) {
        let mut command = Command::default();
        let mut tokens = tokens.iter();
        while let Some(token) = tokens.next() {
            match token {
                Token::Redirect(operator) => {
                    let target = if let Some(Token::Word(word)) = tokens.next() {
                        word.text.clone()
                    } else {
                        self.odd = Some("a redirection without a target");
                        String::new()
                    };
                    command.redirects.push(Redirect { operator: operator.clone(), target });
                }
                Token::Word(word) => {
                    let first = command.words.is_empty();
                    if first && !word.quoted && RESERVED.contains(&word.text.as_str()) {
                        self.odd = Some("a control structure");
                    } else if first && !word.quoted && is_assignment(&word.text) {
                        command.assignments.push(word.text.clone());
                    } else {
                        if first && (word.expands || word.any_name || word.text.contains(['*', '?', '['])) {
                            self.odd = Some("a command whose name is only known when it runs");
                        }
                        command.words.push(word.clone());
                    }
                }
                Token::Separator => {}
            }
        }
        if command != Command::default() {
            self.commands.push(command);
        }
    }
}

impl Command {
    pub(super) fn assignments(&self) -> &[String] {
        &self.assignments
    }

    pub(super) fn words(&self) -> &[Word] {
        &self.words
    }

    /// The program's name without its directory.
    pub(super) fn program(&self) -> &str {
        self.words.first().map_or("", |word| word.text.rsplit('/').next().unwrap_or_default())
    }

    /// The words with single blanks between.
    pub(super) fn text(&self) -> String {
        self.words.iter().map(|word| word.text.as_str()).collect::<Vec<_>>().join(" ")
    }

    /// Whether all that it redirects goes to another descriptor or to nowhere.
    pub(super) fn harmless_redirects(&self) -> bool {
        self.redirects.iter().all(|redirect| match redirect.operator.as_str() {
            ">&" => redirect.target.chars().all(|c| c.is_ascii_digit()) && !redirect.target.is_empty(),
            ">" | ">>" | "&>" | "&>>" => redirect.target == "/dev/null",
            _ => false,
        })
    }

    /// What it may run in its turn: the command behind `env`, `timeout`, `xargs`, `find -exec` …
    fn wrapped(&self) -> Vec<Self> {
        let behind = |index: usize| Self { words: self.words[index..].to_vec(), ..Self::default() };
        if self.program() == "find" {
            let runs = |word: &Word| matches!(word.text.as_str(), "-exec" | "-execdir" | "-ok" | "-okdir");
            let at = self.words.iter().enumerate().filter(|(_, word)| runs(word)).map(|(at, _)| at + 1);
            return at.filter(|at| *at < self.words.len()).map(behind).collect();
        }
        if !WRAPPERS.contains(&self.program()) {
            return Vec::new();
        }
        // The first operand may still belong to an option, as in `timeout 5` and `env -u NAME`.
        let operands = self.words.iter().enumerate().skip(1).filter(|(_, word)| !word.text.starts_with('-'));
        operands.filter(|(_, word)| !is_assignment(&word.text)).take(2).map(|(at, _)| behind(at)).collect()
    }

    /// Scripts that it hands to a shell.
    fn inner_scripts(&self) -> Vec<String> {
        let program = self.program();
        if program == "eval" {
            return vec![self.words[1..].iter().map(|word| word.text.as_str()).collect::<Vec<_>>().join(" ")];
        }
        if !SHELLS.contains(&program) {
            return Vec::new();
        }
        let is_c = |word: &&Word| word.text.starts_with('-') && !word.text.starts_with("--") && word.text.contains('c');
        if !self.words.iter().any(|word| is_c(&word)) {
            return Vec::new();
        }
        self.words
            .iter()
            .skip(1)
            .find(|word| !word.text.starts_with('-'))
            .map(|word| word.text.clone())
            .into_iter()
            .collect()
    }
}

fn is_assignment(text: &str) -> bool {
    text.split_once('=').is_some_and(|(name, _)| {
        let name = name.strip_suffix('+').unwrap_or(name);
        name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    })
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Word(Word),
    Redirect(String),
    Separator,
}

struct Lexer {
    chars: Vec<char>,
    at: usize,
    odd: Option<&'static str>,
    nested: Vec<String>,
    heredocs: Vec<String>,
}

impl Lexer {
    fn tokens(&mut self) -> Vec<Token> {
        let mut tokens = Vec::new();
        while let Some(c) = self.peek(0) {
            match c {
                '\n' => {
                    self.at += 1;
                    self.skip_heredocs();
                    tokens.push(Token::Separator);
                }
                ' ' | '\t' | '\r' => self.at += 1,
                '#' => {
                    while self.peek(0).is_some_and(|c| c != '\n') {
                        self.at += 1;
                    }
                }
                ';' | '|' => {
                    self.at += 1;
                    while self.peek(0).is_some_and(|next| next == c || (c == '|' && next == '&')) {
                        self.at += 1;
                    }
                    tokens.push(Token::Separator);
                }
                '&' if self.peek(1) == Some('&') => {
                    self.at += 2;
                    tokens.push(Token::Separator);
                }
                '&' if self.peek(1) != Some('>') => {
                    self.odd = Some("a command in the background");
                    self.at += 1;
                    tokens.push(Token::Separator);
                }
                '(' | ')' => {
                    self.odd = Some("a subshell");
                    self.at += 1;
                    tokens.push(Token::Separator);
                }
                '<' | '>' | '&' => self.redirect(&mut tokens),
                _ => {
                    let word = self.word();
                    let is_descriptor = !word.quoted
                        && matches!(self.peek(0), Some('<' | '>'))
                        && word.text.chars().all(|c| c.is_ascii_digit());
                    if !word.quoted && matches!(word.text.as_str(), "{" | "}") {
                        self.odd = Some("a group");
                        tokens.push(Token::Separator);
                    } else if !is_descriptor {
                        tokens.push(Token::Word(word));
                    }
                }
            }
        }
        tokens
    }

    fn redirect(&mut self, tokens: &mut Vec<Token>) {
        let mut operator = String::new();
        while let Some(c @ ('<' | '>' | '&' | '|')) = self.peek(0) {
            if operator.len() >= 3 {
                break;
            }
            operator.push(c);
            self.at += 1;
        }
        if self.peek(0) == Some('(') {
            self.odd = Some("a process substitution");
            return;
        }
        if operator == "<<" {
            self.odd = Some("a here-document");
            if self.peek(0) == Some('-') {
                self.at += 1;
            }
            while matches!(self.peek(0), Some(' ' | '\t')) {
                self.at += 1;
            }
            let delimiter = self.word().text;
            self.heredocs.push(delimiter);
            return;
        }
        tokens.push(Token::Redirect(operator));
    }

    fn skip_heredocs(&mut self) {
        for delimiter in std::mem::take(&mut self.heredocs) {
            loop {
                if self.at >= self.chars.len() {
                    return;
                }
                let end = (self.at..self.chars.len()).find(|at| self.chars[*at] == '\n').unwrap_or(self.chars.len());
                let line: String = self.chars[self.at..end].iter().collect();
                self.at = (end + 1).min(self.chars.len());
                if line.trim_start_matches('\t') == delimiter {
                    break;
                }
            }
        }
    }

    fn word(&mut self) -> Word {
        let mut word = Word::default();
        while let Some(c) = self.peek(0) {
            match c {
                ' ' | '\t' | '\r' | '\n' | ';' | '|' | '&' | '(' | ')' | '<' | '>' => break,
                '\\' => {
                    self.at += 1;
                    match self.take() {
                        Some('\n') => {}
                        Some(escaped) => {
                            word.quoted = true;
                            word.text.push(escaped);
                        }
                        None => self.odd = Some("an open quote"),
                    }
                }
                '\'' => {
                    self.at += 1;
                    word.quoted = true;
                    loop {
                        match self.take() {
                            Some('\'') => break,
                            Some(c) => word.text.push(c),
                            None => {
                                self.odd = Some("an open quote");
                                break;
                            }
                        }
                    }
                }
                '"' => self.double_quoted(&mut word),
                '$' | '`' => self.expansion(&mut word),
                _ => {
                    self.at += 1;
                    if matches!(c, '*' | '?' | '[') && word.text.is_empty() {
                        word.any_name = true;
                    }
                    // `{}` alone stands for a file name of `find`; a group is told apart by the caller.
                    if c == '{' && self.peek(0).is_some_and(|next| !matches!(next, '}' | ' ' | '\t' | '\n')) {
                        word.expands = true;
                        self.odd = Some("braces that expand");
                    }
                    word.text.push(c);
                }
            }
        }
        word
    }

    fn double_quoted(&mut self, word: &mut Word) {
        self.at += 1;
        word.quoted = true;
        loop {
            match self.peek(0) {
                Some('"') => {
                    self.at += 1;
                    return;
                }
                Some('\\') if matches!(self.peek(1), Some('$' | '`' | '"' | '\\' | '\n')) => {
                    self.at += 1;
                    if let Some(c) = self.take().filter(|c| *c != '\n') {
                        word.text.push(c);
                    }
                }
                Some('$' | '`') => self.expansion(word),
                Some(c) => {
                    self.at += 1;
                    word.text.push(c);
                }
                None => {
                    self.odd = Some("an open quote");
                    return;
                }
            }
        }
    }

    fn expansion(&mut self, word: &mut Word) {
        word.expands = true;
        let first = self.take();
        match (first, self.peek(0)) {
            (Some('`'), _) => {
                self.odd = Some("a command substitution");
                let nested = self.until('`');
                self.nested.push(nested);
            }
            (_, Some('(')) => {
                self.odd = Some("a command substitution");
                self.at += 1;
                let nested = self.parenthesised();
                self.nested.push(nested);
            }
            (_, Some('{' | '\'' | '"')) => {
                self.odd = Some("an expansion");
                word.text.push('$');
            }
            _ => word.text.push('$'),
        }
    }

    fn until(&mut self, end: char) -> String {
        let mut text = String::new();
        while let Some(c) = self.take() {
            match c {
                '\\' => text.extend(self.take()),
                c if c == end => return text,
                c => text.push(c),
            }
        }
        text
    }

    /// The text up to the closing parenthesis that belongs to one that was just read.
    fn parenthesised(&mut self) -> String {
        let (mut text, mut depth, mut quote) = (String::new(), 1, None);
        while let Some(c) = self.take() {
            match (c, quote) {
                ('\\', None | Some('"')) => {
                    text.push(c);
                    text.extend(self.take());
                    continue;
                }
                ('\'' | '"', None) => quote = Some(c),
                (c, Some(open)) if c == open => quote = None,
                ('(', None) => depth += 1,
                (')', None) => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                return text;
            }
            text.push(c);
        }
        text
    }

    fn peek(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at + ahead).copied()
    }

    fn take(&mut self) -> Option<char> {
        let c = self.peek(0);
        self.at += usize::from(c.is_some());
        c
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn commands_are_found_wherever_they_hide() {
        let texts = |line: &str| Script::read(line).everything().map(Command::text).collect::<Vec<_>>();
        assert_eq!(texts("cd a && ls -l | wc -l; pwd"), ["cd a", "ls -l", "wc -l", "pwd"]);
        assert_eq!(texts("g\"i\"t 'pu'sh"), ["git push"]);
        assert_eq!(texts("A=1 timeout 5 git push"), ["timeout 5 git push", "5 git push", "git push"]);
        assert!(texts("echo \"$(git push)\"").contains(&"git push".to_owned()));
        assert!(texts("sh -ec 'a; git push'").contains(&"git push".to_owned()));
        assert!(texts("(git push)").contains(&"git push".to_owned()));
        assert!(texts("if true; then git push; fi").contains(&"git push".to_owned()));
        assert!(texts("find . -exec git push ;").contains(&"git push".to_owned()));
        assert_eq!(texts("cat <<EOF\ngit push\nEOF\nls"), ["cat", "ls"], "a here-document's text is no command");
        assert_eq!(texts("ls # git push"), ["ls"]);
    }

    #[test]
    fn what_is_more_than_simple_commands_is_odd() {
        for line in ["ls", "ls -l | wc -l 2>&1", "grep 'a;b' x", "echo \"$HOME\"", "a && b || c; d"] {
            assert!(Script::read(line).plain(), "{line}: {:?}", Script::read(line).odd());
        }
        for line in [
            "ls &",
            "(ls)",
            "{ ls; }",
            "echo `ls`",
            "echo $(ls)",
            "ls {a,b}",
            "$X ls",
            "a <(b)",
            "cat <<E",
            "for x in y",
            "echo 'open",
            "echo ${x@P}",
            "ls\\",
        ] {
            assert!(!Script::read(line).plain(), "{line}");
        }
    }

    proptest! {
        #[test]
        fn reading_never_panics_and_ends(line in ".{0,200}") {
            let _ = Script::read(&line).everything().count();
        }

        #[test]
        fn reading_shell_like_noise_never_panics(line in "[a-z $`'\"(){};|&<>\\\\\n=-]{0,80}") {
            let _ = Script::read(&line).everything().count();
        }
    }
}
