//! Names and texts in many scripts, with what breaks careless code: quotes, emoji outside the
//! basic plane, right-to-left text, combining marks, HTML.

use rand::Rng;
use rand::rngs::SmallRng;

const FIRST: &[&str] = &[
    "Aoife",
    "Bruno",
    "Chloë",
    "Dmitri",
    "Émilie",
    "Fatima",
    "Günther",
    "Hana",
    "Iñaki",
    "José",
    "Kenji",
    "Łukasz",
    "Mónica",
    "Noor",
    "Olu",
    "Priya",
    "Quinn",
    "Renée",
    "Søren",
    "Thị Mai",
    "Uma",
    "Václav",
    "Wei",
    "Ximena",
    "Yusuf",
    "Zoë",
    "محمد",
    "美咲",
    "지훈",
    "Ольга",
    "Νίκος",
    "אורי",
    "O'Neil",
    "Ana-Maria",
];
const LAST: &[&str] = &[
    "Ní Bhriain",
    "Almeida",
    "Dubois",
    "Иванов",
    "Håkansson",
    "Khan",
    "Müller",
    "Novák",
    "García Márquez",
    "佐藤",
    "Kowalski",
    "Öztürk",
    "Nguyễn",
    "Okafor",
    "Patel",
    "Smith",
    "Sørensen",
    "Tanaka",
    "van der Berg",
    "Williams",
    "Zhāng",
    "Παπαδόπουλος",
    "العلي",
    "김",
    "D’Angelo",
    "\"Bob\" Tables",
    "<script>alert(1)</script>",
    "Null",
    "🦊 Fox",
];
const SENTENCES: &[&str] = &[
    "The export has been stuck at 40% since this morning.",
    "Could you tell me where I find the invoice for March?",
    "Bonjour, je n’arrive pas à me connecter depuis hier.",
    "レポートの画面が真っ白になります。",
    "It works on staging, but production says \"forbidden\".",
    "Thanks a lot, that did it! 🎉",
    "Wir möchten gern auf den größeren Plan wechseln.",
    "I tried A & B, then <b>both</b> at once; no luck.",
    "We need this before Friday, please escalate 🙏🏽.",
    "هل يمكنكم مساعدتي في استعادة كلمة المرور؟",
    "See C:\\logs\\app.log, line 17.",
    "Любая помощь будет кстати.",
    "Our seats went from 12 to 19; the bill did not follow.",
    "Is there an API for that, or only the dashboard?",
    "I have attached a screenshot of the error.",
    "¿Podrían reenviar el correo de confirmación?",
    "The webhook fired twice within the same second.",
    "Cafe\u{301} and café should be the same name, shouldn’t they?",
];
pub(crate) const COMPANY_HEADS: &[&str] = &[
    "Northwind",
    "Blue Fjord",
    "Łódź Motors",
    "Quercus",
    "Peak & Valley",
    "Sakura 桜",
    "Delta",
    "Umbra",
    "Helix",
    "Café Central",
    "Orbital",
    "Granite",
    "Lumen",
    "Zephyr",
    "Öresund",
    "Tidal",
];
pub(crate) const COMPANY_TAILS: &[&str] = &[
    "Ltd",
    "GmbH",
    "Inc.",
    "S.A.",
    "Labs",
    "株式会社",
    "Group",
    "Studio",
    "AB",
    "& Sons",
];
pub(crate) const INDUSTRIES: &[&str] = &[
    "Software",
    "Retail",
    "Health",
    "Education",
    "Manufacturing",
    "Finance",
    "Travel",
    "Energy",
];
/// Country, region, city, country code, continent code.
pub(crate) const PLACES: &[[&str; 5]] = &[
    ["Ireland", "Dublin", "Dublin", "IRL", "EU"],
    ["Germany", "Bavaria", "München", "DEU", "EU"],
    ["Japan", "Tokyo", "東京", "JPN", "AS"],
    ["United States", "California", "San José", "USA", "NA"],
    ["Brazil", "São Paulo", "São Paulo", "BRA", "SA"],
    ["Australia", "New South Wales", "Sydney", "AUS", "OC"],
    ["Nigeria", "Lagos", "Lagos", "NGA", "AF"],
    ["India", "Karnataka", "Bengaluru", "IND", "AS"],
];

/// One of `choices`, which must not be empty.
pub(crate) fn pick<'c, T>(rng: &mut SmallRng, choices: &'c [T]) -> &'c T {
    &choices[rng.random_range(0..choices.len())]
}

pub(crate) fn person_name(rng: &mut SmallRng) -> String {
    format!("{} {}", pick(rng, FIRST), pick(rng, LAST))
}

/// One plain sentence.
pub(crate) fn sentence(rng: &mut SmallRng) -> &'static str {
    pick::<&str>(rng, SENTENCES)
}

/// `from` to `to` sentences as an HTML paragraph.
pub(crate) fn paragraph(rng: &mut SmallRng, from: usize, to: usize) -> String {
    let mut html = String::from("<p>");
    for n in 0..rng.random_range(from..=to) {
        if n > 0 {
            html.push_str(if n % 3 == 0 { "</p>\n<p>" } else { " " });
        }
        for c in sentence(rng).chars() {
            match c {
                '<' => html.push_str("&lt;"),
                '>' => html.push_str("&gt;"),
                '&' => html.push_str("&amp;"),
                c => html.push(c),
            }
        }
    }
    if rng.random_range(0..12) == 0 {
        html.push_str(" <a href=\"https://example.com/help?a=1&amp;b=2\">Help page</a>");
    }
    html.push_str("</p>");
    html
}
