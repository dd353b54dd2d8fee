//! What the program says, without what differs from run to run.

/// Returns the lines of standard error in one, with addresses, hashes and times replaced by words in capitals.
pub(super) fn said(stderr: &str, names: &[(&str, &str)]) -> String {
    let mut lines: Vec<String> = stderr.lines().map(|line| without_chance(line, names)).collect();
    lines.dedup();
    lines.join("<br>")
}

fn without_chance(line: &str, names: &[(&str, &str)]) -> String {
    let mut line = line.to_owned();
    for (text, name) in names {
        line = line.replace(text, name);
    }
    // Spans are those of now, and a second may pass.
    line = without_span(line, " is ", " ahead of this computer's clock");
    line = without_span(line, "run the command again in ", "");
    if line.contains("checksum [") {
        line = without_bytes(&line);
    }
    // The time of the log.
    let time = line.split(' ').next().filter(|first| first.len() == 20 && first.ends_with('Z'));
    let words = line.split(' ').skip(usize::from(time.is_some()));
    let mut words: Vec<String> = words.map(word).collect();
    // How often a peer was of use before it was lost depends on how fast the disk is.
    for at in 1..words.len() {
        let is_count = words[at - 1].bytes().all(|byte| byte.is_ascii_digit());
        if is_count
            && matches!(words[at].trim_end_matches(';'), "times" | "hung")
            && !words[at - 1].is_empty()
        {
            "N".clone_into(&mut words[at - 1]);
        }
    }
    words.join(" ")
}

/// Replaces what is between two texts.
fn without_span(line: String, before: &str, after: &str) -> String {
    match line.split_once(before) {
        Some((start, rest)) if rest.contains(after) => {
            let end = if after.is_empty() { rest.len() } else { rest.find(after).unwrap_or(0) };
            format!("{start}{before}N{}", &rest[end..])
        }
        _ => line,
    }
}

/// Replaces what is in brackets.
fn without_bytes(line: &str) -> String {
    let mut parts = line.split('[');
    let first = parts.next().unwrap_or_default().to_owned();
    let rest =
        parts.map(|part| format!("BYTES{}", part.split_once(']').map_or("", |(_, rest)| rest)));
    first + &rest.collect::<String>()
}

/// Replaces a hash, a time or date of today, and a measured number.
fn word(word: &str) -> String {
    let value = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
    let is_made_of = |form: &str| {
        let fits = |(byte, kind): (u8, u8)| match kind {
            b'9' => byte.is_ascii_digit(),
            b'f' => byte.is_ascii_hexdigit(),
            _ => byte == kind,
        };
        value.len() == form.len() && value.bytes().zip(form.bytes()).all(fits)
    };
    let name = if is_made_of(&"f".repeat(64)) {
        "HASH"
    } else if is_made_of("1799999999") || is_made_of("1899999999") || is_made_of("99:99") {
        "TIME"
    } else if is_made_of("9999-99-99") {
        "DATE"
    } else if value.contains('.') && value.parse::<f64>().is_ok() {
        "N"
    } else {
        return word.to_owned();
    };
    word.replace(value, name)
}
