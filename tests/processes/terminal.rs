//! `corelane demo` on terminals: widths, colours, progress.

use std::num::NonZeroU16;

use corelane_testkit::process::{Output, Place};
use vt100::{Color, Parser};

use crate::corelane;

/// More rows than a demo prints, so that nothing scrolls away.
const ROWS: u16 = 500;

struct Terminals {
    stdout: Parser,
    stderr: Parser,
    /// What was written to the second terminal over time.
    progress: String,
}

/// Runs a demo on two terminals and shows what each has on its screen at the end.
fn run(columns: u16, variables: &[(&str, &str)]) -> Terminals {
    let place = Place::new();
    let mut command = corelane(&place, "demo --load-seconds 0.1");
    command.envs(variables.iter().copied());
    let ended = place.start(command, Output::Terminals { columns }).wait();
    assert_eq!(ended.code(), 0, "{}\n{}", ended.stdout, ended.stderr);
    place.assert_empty();
    let screen = |text: &str| {
        let mut parser = Parser::new(size(ROWS), size(columns), 0);
        show(&mut parser, text);
        parser
    };
    let (stdout, stderr) = (screen(&ended.stdout), screen(&ended.stderr));
    Terminals { stdout, stderr, progress: ended.stderr }
}

fn size(n: u16) -> NonZeroU16 {
    NonZeroU16::new(n).expect("it is not zero")
}

/// Shows more text on a screen; no line of it may be wider than the screen is.
#[track_caller]
fn show(parser: &mut Parser, text: &str) {
    for character in text.chars() {
        parser.process(character.to_string().as_bytes());
        let (row, _) = parser.screen().cursor_position();
        let is_wrapped = row > 0 && parser.screen().row_wrapped(row - 1);
        assert!(!is_wrapped, "too wide:\n{}", parser.screen().contents());
    }
}

impl Terminals {
    fn assert_whole(&self) {
        let text = self.stdout.screen().contents();
        for section in ["1. Machine", "2. Fabric", "3. Real input", "4. Load", "5. Failure"] {
            assert!(text.contains(section), "{section} is missing:\n{text}");
        }
        assert!(text.contains("everything held"), "{text}");
        assert!(!text.contains(['\u{fffd}', '\u{1b}']), "garbage:\n{text}");
        assert_eq!(self.stderr.screen().contents().trim(), "", "progress was not taken back");
    }

    fn has_color(&self) -> bool {
        let (rows, columns) = self.stdout.screen().size();
        let cells = (0..rows.get()).flat_map(|row| (0..columns.get()).map(move |c| (row, c)));
        cells.filter_map(|(row, column)| self.stdout.screen().cell(row, column)).any(|cell| {
            cell.fgcolor() != Color::Default || cell.bgcolor() != Color::Default || cell.bold()
        })
    }
}

#[test]
fn eighty_columns_have_colour_and_progress_beside_the_output() {
    let terminals = run(80, &[]);
    terminals.assert_whole();
    assert!(terminals.has_color());
    assert!(terminals.progress.contains("digits"), "{:?}", terminals.progress);
}

#[test]
fn forty_columns_are_enough() {
    run(40, &[]).assert_whole();
}

#[test]
fn no_color_is_obeyed_on_a_terminal() {
    let terminals = run(80, &[("NO_COLOR", "1")]);
    terminals.assert_whole();
    assert!(!terminals.has_color());
}

/// The measured cores are left alone: during the load the bar is drawn once, before it is measured.
#[test]
fn nothing_is_drawn_while_the_load_is_measured() {
    let terminals = run(80, &[]);
    for phase in ["quiet load", "      load"] {
        let drawn = terminals.progress.matches(&format!("{phase} [")).count();
        assert_eq!(drawn, 1, "{phase}: {:?}", terminals.progress);
    }
}

#[test]
fn a_terminal_that_gets_narrow_and_wide_again_keeps_its_lines() {
    let place = Place::new();
    let command = corelane(&place, "demo --load-seconds 1");
    let demo = place.start(command, Output::Terminals { columns: 80 });
    let mut screens = [Parser::new(size(ROWS), size(80), 0), Parser::new(size(ROWS), size(80), 0)];
    let mut shown = [0, 0];
    // Each width from a moment on at which the demo prints nothing: it waits for the load.
    for (phase, columns) in [("quiet load [", 40), ("      load [", 60)] {
        demo.wait_until(phase, || {
            // All that was printed before: the last of it is a line and a picture of eight rows.
            let printed = demo.stdout_so_far();
            let picture = printed.split("it takes for").nth(1).unwrap_or_default();
            let is_shown = picture.matches('\n').count() > 8;
            (is_shown && demo.stderr_so_far().contains(phase)).then_some(())
        });
        let so_far = [demo.stdout_so_far(), demo.stderr_so_far()];
        demo.resize(columns);
        for ((screen, shown), text) in screens.iter_mut().zip(&mut shown).zip(&so_far) {
            show(screen, &text[*shown..]);
            *shown = text.len();
            screen.screen_mut().set_size(size(ROWS), size(columns));
        }
    }
    let ended = demo.wait();
    assert_eq!(ended.code(), 0, "{}\n{}", ended.stdout, ended.stderr);
    let texts = [&ended.stdout, &ended.stderr];
    for ((screen, shown), text) in screens.iter_mut().zip(shown).zip(texts) {
        show(screen, &text[shown..]);
    }
    let text = screens[0].screen().contents();
    assert!(text.contains("5. Failure") && text.contains("everything held"), "{text}");
    assert!(!text.contains(['\u{fffd}', '\u{1b}']), "garbage:\n{text}");
    let left = screens[1].screen().contents();
    assert_eq!(left.trim(), "", "progress was not taken back");
    place.assert_empty();
}
