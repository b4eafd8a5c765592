//! The 1,024 words that codes and verifiers are read aloud in: 10 bits each (PROTOCOL.md §3.4).
//!
//! Every word is common English of 3 to 6 letters. No two are one typing error apart (a letter added, dropped, changed,
//! or two swapped), and none begins another. The list is part of the protocol: it never changes.

/// How many words there are.
pub const WORD_COUNT: usize = 1024;

/// The word for the low 10 bits of `index`.
pub fn word(index: u16) -> &'static str {
    WORDS.lines().nth(usize::from(index) % WORD_COUNT).unwrap_or_default()
}

/// The number of a word, 0 to 1,023, or `None` when it is not on the list. Lower case only.
pub fn index(word: &str) -> Option<u16> {
    WORDS.lines().position(|known| known == word).and_then(|index| index.try_into().ok())
}

/// A word in every line, in order. Few are looked up, so there is no table of where each begins: in the module of the
/// page that would be larger than the words.
static WORDS: &str = include_str!("wordlist.txt");

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;

    /// Whether `b` is `a` with a letter added, dropped or changed, or with two neighbours swapped.
    fn is_one_error_apart(a: &str, b: &str) -> bool {
        let (a, b) = (a.as_bytes(), b.as_bytes());
        let same_front = a.iter().zip(b).take_while(|(a, b)| a == b).count();
        let (a, b) = (&a[same_front..], &b[same_front..]);
        let same_back = a.iter().rev().zip(b.iter().rev()).take_while(|(a, b)| a == b).count();
        match (&a[..a.len() - same_back], &b[..b.len() - same_back]) {
            ([] | [_], [] | [_]) => true,
            ([first, second], [third, fourth]) => first == fourth && second == third,
            _ => false,
        }
    }

    #[test]
    fn words_are_sorted_unique_and_of_three_to_six_lower_case_letters() {
        assert!(WORDS.lines().is_sorted_by(|a, b| a < b));
        assert_eq!(WORDS.lines().count(), WORD_COUNT);
        for word in WORDS.lines() {
            assert!((3..=6).contains(&word.len()), "{word}");
            assert!(word.bytes().all(|byte| byte.is_ascii_lowercase()), "{word}");
        }
    }

    #[test]
    fn no_two_words_are_one_typing_error_apart() {
        for (place, a) in WORDS.lines().enumerate() {
            for b in WORDS.lines().skip(place + 1) {
                assert!(!is_one_error_apart(a, b), "{a} {b}");
            }
        }
    }

    #[test]
    fn typing_errors_are_recognised_by_these_tests() {
        for (a, b) in
            [("able", "cable"), ("able", "ale"), ("able", "axle"), ("able", "albe"), ("able", "abler")]
        {
            assert!(is_one_error_apart(a, b), "{a} {b}");
        }
        for (a, b) in [("able", "cables"), ("able", "lbea"), ("acorn", "acrno")] {
            assert!(!is_one_error_apart(a, b), "{a} {b}");
        }
    }

    #[test]
    fn no_word_begins_another() {
        for (word, next) in WORDS.lines().zip(WORDS.lines().skip(1)) {
            assert!(!next.starts_with(word), "{word} {next}");
        }
    }

    #[test]
    fn words_and_numbers_belong_together() {
        for number in 0..1024 {
            assert_eq!(index(word(number)), Some(number));
        }
        assert_eq!(word(1024), word(0));
        assert_eq!(index("zzzz"), None);
        assert_eq!(index("Able"), None);
        assert_eq!(index(""), None);
    }

    #[test]
    fn the_list_is_the_one_of_version_1() {
        let digest: [u8; 32] = Sha256::digest(include_str!("wordlist.txt")).into();
        assert_eq!(
            data_encoding::HEXLOWER.encode(&digest),
            "5f2c76e84396a4951b0e535ee3d46f48c0020bacae0150419c87411fc6a44b5d"
        );
    }
}
