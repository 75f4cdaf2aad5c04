//! Pages as text: nothing from outside becomes markup, nothing is loaded, and they stay small.

mod sample;

use corelane_report::{Page, Section, Summary};
use sample::{QUOTES, SCRIPT, STYLE_END};

/// A page that is larger is not shared.
const PAGE_BYTES_MAX: usize = 300_000;

#[test]
fn text_from_outside_never_becomes_markup() {
    let html = sample::large().render();
    assert!(html.contains("&lt;script&gt;"), "the name is there, as text");
    for hostile in [SCRIPT, QUOTES, STYLE_END, "<script", "<img"] {
        assert!(!html.contains(hostile), "{hostile}");
    }
    let is_handler = |tag: &str| tag.contains(" onload=\"") || tag.contains(" onerror=");
    assert!(!html.split('<').filter_map(|tag| tag.split('>').next()).any(is_handler));
    assert_eq!(html.matches("</style>").count(), 1);
    assert_eq!(html.matches("</html>").count(), 1);
}

#[test]
fn a_page_needs_nothing_else() {
    for html in [sample::large().render(), sample::empty().render()] {
        let own = html.replace("href=\"data:,\"", "");
        for outside in ["http:", "https:", "//", "@import", "url(", "<script", "<iframe", "<img"] {
            assert!(!own.contains(outside), "{outside}");
        }
        let tags = html.split('<').skip(1).filter_map(|tag| tag.split('>').next());
        assert!(tags.clone().all(|tag| !tag.contains(" src=") && !tag.contains("xlink")));
        assert!(html.contains("default-src 'none'"), "and a policy says so");
    }
}

#[test]
fn a_page_of_the_largest_machine_is_small() {
    let length = sample::large().render().len();
    assert!((50_000..PAGE_BYTES_MAX).contains(&length), "{length}");
}

#[test]
fn every_picture_has_a_title_and_a_table() {
    let html = sample::large().render();
    let pictures: Vec<&str> = html.split("<svg").skip(1).collect();
    assert!(pictures.len() > 10, "{}", pictures.len());
    for picture in pictures {
        let end = picture.find("</svg>").expect("it ends");
        let picture = &picture[..end];
        assert!(picture.contains("<title>"), "{picture}");
        let is_hidden = picture.contains("aria-hidden");
        assert!(is_hidden || picture.contains("<desc>"), "{picture}");
        for broken in ["NaN", "inf"] {
            assert!(!picture.contains(broken), "{broken}: {picture}");
        }
    }
    let (figures, tables) = (html.matches("<figure").count(), html.matches("<table").count());
    assert!(tables >= figures, "{tables} tables for {figures} pictures");
}

#[test]
fn what_was_not_measured_makes_no_picture_and_no_nonsense() {
    let html = sample::empty().render();
    for broken in ["NaN", "inf\"", "-0 "] {
        assert!(!html.contains(broken), "{broken}");
    }
    assert!(html.contains("nothing was counted") && html.contains("rate: nothing was measured"));
}

#[test]
fn tags_are_balanced() {
    for html in [sample::large().render(), sample::empty().render()] {
        let tags = [
            "html", "body", "section", "figure", "svg", "table", "tr", "details", "ul", "ol", "li",
            "dl", "div", "span", "g", "text", "path", "p", "title", "desc", "tbody", "abbr",
        ];
        for tag in tags {
            let open = html.matches(&format!("<{tag} ")).count()
                + html.matches(&format!("<{tag}>")).count();
            assert_eq!(open, html.matches(&format!("</{tag}>")).count(), "{tag}");
        }
    }
}

#[test]
fn a_broken_promise_is_told_first() {
    let verdicts = sample::large().render();
    assert!(verdicts.contains("1 of 3 promises did not hold, 1 not judged"));
    let page = Page::new("x").section(Section::new("Summary").part(Summary::default()));
    assert!(!page.render().contains("promises"), "no promise, no headline");
}

#[test]
fn the_same_values_give_the_same_page() {
    assert_eq!(sample::large().render(), sample::large().render());
}
