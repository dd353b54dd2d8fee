//! Draws charts as PNG. A PNG shows what the SVG shows, on a light background, with two pixels for each unit. Only the
//! PNG labels values at the very top of the y axis.

use super::{Plot, PlotLayer, Tick};
use tiny_skia::{
    Color, FillRule, LineCap, LineJoin, Paint, Path, PathBuilder, Pixmap, Stroke, StrokeDash,
    Transform,
};
use ttf_parser::{Face, OutlineBuilder};

const WIDTH: f32 = 960.0;
/// Height of the plotted area.
const HEIGHT: f32 = 300.0;
const HEAD: f32 = 34.0;
const FOOT: f32 = 24.0;
const MARGIN: f32 = 16.0;

/// Pixels for each unit.
const DENSITY: f32 = 2.0;

const PAPER: [u8; 4] = [251, 250, 247, 255];
const INK: [u8; 4] = [32, 32, 30, 255];
const FAINT: [u8; 4] = [109, 107, 101, 255];
const RULE: [u8; 4] = [228, 226, 220, 255];
const ACCENT: [u8; 4] = [168, 72, 15, 255];

/// The opacity of a band behind a line, from 0 to 255.
const BAND_ALPHA: u8 = 46;
/// The opacity of an area without a line, from 0 to 255.
const AREA_ALPHA: u8 = 191;

/// Why a chart could not be drawn as PNG.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PngError {
    /// The font that ships with the program cannot be read.
    #[error("the font cannot be read: {0}")]
    Font(#[from] ttf_parser::FaceParsingError),
    /// The image could not be made.
    #[error("the image cannot be made")]
    Image,
    /// The image could not be written as PNG.
    #[error("the image cannot be encoded: {0}")]
    Encoding(String),
}

/// Draws a chart.
///
/// # Errors
/// The font cannot be read, or the image cannot be made or encoded.
pub(crate) fn png(plot: &Plot) -> Result<Vec<u8>, PngError> {
    let mut canvas = Canvas::new()?;
    canvas.text(&plot.title, MARGIN, 22.0, 13.0, INK, Anchor::Start);
    for tick in &plot.y.ticks {
        let y = y_of(1.0 - plot.y.position(tick.at));
        canvas.line((MARGIN, y), (WIDTH - MARGIN, y), RULE, None);
    }
    for tick in &plot.hairlines {
        let x = x_of(plot.x.position(tick.at));
        canvas.line((x, HEAD), (x, HEAD + HEIGHT), FAINT, StrokeDash::new(vec![1.0, 3.0], 0.0));
    }
    for layer in &plot.layers {
        canvas.layer(plot, layer);
    }
    for tick in &plot.y.ticks {
        let y = y_of(1.0 - plot.y.position(tick.at + plot.y.label_offset)) - 4.0;
        canvas.text(&tick.label, MARGIN, y, 11.0, FAINT, Anchor::Start);
    }
    let at_x = |tick: &Tick| plot.x.position(tick.at);
    for tick in &plot.hairlines {
        canvas.label(at_x(tick), &tick.label, HEAD + 10.0);
    }
    for tick in &plot.x.ticks {
        canvas.label(at_x(tick), &tick.label, HEAD + HEIGHT + 16.0);
    }
    canvas.pixels.encode_png().map_err(|error| PngError::Encoding(error.to_string()))
}

#[expect(clippy::cast_possible_truncation, reason = "a position is between 0 and 1")]
fn x_of(position: f64) -> f32 {
    MARGIN + position as f32 * (WIDTH - 2.0 * MARGIN)
}

#[expect(clippy::cast_possible_truncation, reason = "a position is between 0 and 1")]
fn y_of(position: f64) -> f32 {
    HEAD + position as f32 * HEIGHT
}

#[derive(Clone, Copy, Debug)]
enum Anchor {
    Start,
    Middle,
    End,
}

struct Canvas {
    pixels: Pixmap,
    face: Face<'static>,
}

impl Canvas {
    fn new() -> Result<Self, PngError> {
        let size = |units: f32| {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "constants"
            )]
            let pixels = (units * DENSITY) as u32;
            pixels
        };
        let pixels = Pixmap::new(size(WIDTH), size(HEAD + HEIGHT + FOOT));
        let mut pixels = pixels.ok_or(PngError::Image)?;
        let [red, green, blue, alpha] = PAPER;
        pixels.fill(Color::from_rgba8(red, green, blue, alpha));
        Ok(Self { pixels, face: Face::parse(dejavu::sans::regular(), 0)? })
    }

    fn layer(&mut self, plot: &Plot, layer: &PlotLayer) {
        let mut path = PathBuilder::new();
        for (at, (x, y)) in layer.outline(plot).into_iter().enumerate() {
            let (x, y) = (x_of(x), y_of(y));
            match layer {
                PlotLayer::Dots(_) => path.push_circle(x, y, 1.5),
                _ if at == 0 => path.move_to(x, y),
                _ => path.line_to(x, y),
            }
        }
        let Some(path) = path.finish() else { return };
        let [red, green, blue, _] = ACCENT;
        match layer {
            PlotLayer::Dots(_) => self.fill(&path, ACCENT),
            PlotLayer::Band(_) => self.fill(&path, [red, green, blue, BAND_ALPHA]),
            PlotLayer::Area { .. } => self.fill(&path, [red, green, blue, AREA_ALPHA]),
            PlotLayer::Line(_) | PlotLayer::Steps(_) => self.stroke(&path, ACCENT, 1.5, None),
        }
    }

    fn line(&mut self, from: (f32, f32), to: (f32, f32), color: [u8; 4], dash: Option<StrokeDash>) {
        let mut path = PathBuilder::new();
        path.move_to(from.0, from.1);
        path.line_to(to.0, to.1);
        if let Some(path) = path.finish() {
            self.stroke(&path, color, 1.0, dash);
        }
    }

    /// Writes a label at a position on the x axis. The label is centred on the position, but near an edge it starts or
    /// ends there, so that it stays inside the chart.
    fn label(&mut self, position: f64, text: &str, y: f32) {
        let anchor = match position {
            ..0.04 => Anchor::Start,
            0.96.. => Anchor::End,
            _ => Anchor::Middle,
        };
        self.text(text, x_of(position), y, 11.0, FAINT, anchor);
    }

    fn text(&mut self, text: &str, x: f32, y: f32, size: f32, color: [u8; 4], anchor: Anchor) {
        let scale = size / f32::from(self.face.units_per_em());
        let mut glyphs = Glyphs { path: PathBuilder::new(), x: 0.0, scale };
        for letter in text.chars() {
            let glyph = self.face.glyph_index(letter).unwrap_or_default();
            // A letter without an outline, such as a space, only moves the position of the next letter.
            let _ = self.face.outline_glyph(glyph, &mut glyphs);
            glyphs.x += f32::from(self.face.glyph_hor_advance(glyph).unwrap_or(0)) * scale;
        }
        let start = match anchor {
            Anchor::Start => x,
            Anchor::Middle => x - glyphs.x / 2.0,
            Anchor::End => x - glyphs.x,
        };
        let path = glyphs.path.finish();
        if let Some(path) =
            path.and_then(|path| path.transform(Transform::from_translate(start, y)))
        {
            self.stroke(&path, PAPER, 3.0, None);
            self.fill(&path, color);
        }
    }

    fn fill(&mut self, path: &Path, color: [u8; 4]) {
        let scale = Transform::from_scale(DENSITY, DENSITY);
        self.pixels.fill_path(path, &paint(color), FillRule::Winding, scale, None);
    }

    fn stroke(&mut self, path: &Path, color: [u8; 4], width: f32, dash: Option<StrokeDash>) {
        let stroke = Stroke {
            width,
            dash,
            line_cap: LineCap::Butt,
            line_join: LineJoin::Round,
            ..Stroke::default()
        };
        let scale = Transform::from_scale(DENSITY, DENSITY);
        self.pixels.stroke_path(path, &paint(color), &stroke, scale, None);
    }
}

fn paint(color: [u8; 4]) -> Paint<'static> {
    let mut paint = Paint { anti_alias: true, ..Paint::default() };
    let [red, green, blue, alpha] = color;
    paint.set_color_rgba8(red, green, blue, alpha);
    paint
}

/// Collects the outlines of the letters of a text. The y axis of the font points up, and that of the image down.
struct Glyphs {
    path: PathBuilder,
    x: f32,
    scale: f32,
}

impl Glyphs {
    fn at(&self, x: f32, y: f32) -> (f32, f32) {
        (self.x + x * self.scale, -y * self.scale)
    }
}

impl OutlineBuilder for Glyphs {
    fn move_to(&mut self, x: f32, y: f32) {
        let (x, y) = self.at(x, y);
        self.path.move_to(x, y);
    }

    fn line_to(&mut self, x: f32, y: f32) {
        let (x, y) = self.at(x, y);
        self.path.line_to(x, y);
    }

    fn quad_to(&mut self, x1: f32, y1: f32, x: f32, y: f32) {
        let ((x1, y1), (x, y)) = (self.at(x1, y1), self.at(x, y));
        self.path.quad_to(x1, y1, x, y);
    }

    fn curve_to(&mut self, x1: f32, y1: f32, x2: f32, y2: f32, x: f32, y: f32) {
        let ((x1, y1), (x2, y2), (x, y)) = (self.at(x1, y1), self.at(x2, y2), self.at(x, y));
        self.path.cubic_to(x1, y1, x2, y2, x, y);
    }

    fn close(&mut self) {
        self.path.close();
    }
}

#[cfg(test)]
mod tests {
    use super::{ACCENT, INK, png};
    use crate::output::plot::tests::sample;
    use tiny_skia::Pixmap;

    #[test]
    fn a_chart_has_its_line_and_its_words() {
        let pixels = Pixmap::decode_png(&png(&sample()).unwrap()).unwrap();
        assert_eq!((pixels.width(), pixels.height()), (1920, 716));
        let count = |color: [u8; 4]| {
            let is = |bytes: &&[u8]| **bytes == color;
            pixels.data().chunks(4).filter(is).count()
        };
        assert!(count(ACCENT) > 2000, "{} pixels of the line", count(ACCENT));
        assert!(count(INK) > 100, "{} pixels of the title", count(INK));
    }
}
