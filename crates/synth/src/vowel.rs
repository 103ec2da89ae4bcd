//! Vowels and their formants, by sex.

/// Whose average pitch and formants a voice starts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sex {
    /// 14.5 cm of vocal tract and 200 Hz on average.
    Female,
    /// 17 cm of vocal tract and 120 Hz on average.
    Male,
}

impl Sex {
    /// The letter of `spk2gender`.
    pub fn letter(self) -> char {
        match self {
            Sex::Female => 'f',
            Sex::Male => 'm',
        }
    }

    /// Of the tracts that the formant tables stand for.
    pub(crate) fn tract_length_cm(self) -> f64 {
        match self {
            Sex::Female => 14.5,
            Sex::Male => 17.0,
        }
    }
}

/// A vowel of American English, by the word it was measured in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Vowel {
    Heed,
    Hid,
    Hayed,
    Head,
    Had,
    Hod,
    Hawed,
    Hoed,
    Hood,
    Whod,
    Hud,
    Heard,
}

/// Average F1 to F4 in Hz of 45 men and 48 women: Hillenbrand, Getty, Clark and Wheeler, "Acoustic
/// characteristics of American English vowels", JASA 97 (1995), table V.
const MEN: [[f64; 4]; 12] = [
    [342., 2322., 3000., 3657.],
    [427., 2034., 2684., 3618.],
    [476., 2089., 2691., 3649.],
    [580., 1799., 2605., 3677.],
    [588., 1952., 2601., 3624.],
    [768., 1333., 2522., 3687.],
    [652., 997., 2538., 3486.],
    [497., 910., 2459., 3384.],
    [469., 1122., 2434., 3400.],
    [378., 997., 2343., 3357.],
    [623., 1200., 2550., 3557.],
    [474., 1379., 1710., 3334.],
];
const WOMEN: [[f64; 4]; 12] = [
    [437., 2761., 3372., 4352.],
    [483., 2365., 3053., 4334.],
    [536., 2530., 3047., 4319.],
    [731., 2058., 2979., 4294.],
    [669., 2349., 2972., 4290.],
    [936., 1551., 2815., 4299.],
    [781., 1136., 2824., 3923.],
    [555., 1035., 2828., 3927.],
    [519., 1225., 2827., 4052.],
    [459., 1105., 2735., 4115.],
    [753., 1426., 2933., 4092.],
    [523., 1588., 1929., 3914.],
];

impl Vowel {
    /// All twelve, in the order of the published table.
    pub const ALL: [Vowel; 12] = {
        use Vowel::{Had, Hawed, Hayed, Head, Heard, Heed, Hid, Hod, Hoed, Hood, Hud, Whod};
        [Heed, Hid, Hayed, Head, Had, Hod, Hawed, Hoed, Hood, Whod, Hud, Heard]
    };

    /// Published average F1 to F4, Hz.
    pub fn average_formants(self, sex: Sex) -> [f64; 4] {
        match sex {
            Sex::Male => MEN[self as usize],
            Sex::Female => WOMEN[self as usize],
        }
    }
}
