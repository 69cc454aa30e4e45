//! What characters do to the text around them.

/// Whether a character changes how the text around it reads without being seen itself: what reorders text (Unicode
/// Standard Annex 9), joins or separates without a width, marks, or tags.
pub fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Whether a character has no place in a name, because two names with and without it look the same: besides what is
/// invisible anywhere, these are blanks of all kinds and their look-alikes, and what only alters the character before it.
pub(crate) fn is_unseen_in_a_name(c: char) -> bool {
    let filler = matches!(c, '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{2800}' | '\u{3164}' | '\u{ffa0}');
    let alters = matches!(c, '\u{34f}' | '\u{180b}'..='\u{180f}' | '\u{fe00}'..='\u{fe0f}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0080}'..='\u{e0fff}');
    is_invisible(c) || c.is_whitespace() || filler || alters
}
