#include "data/synthetic.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace offramp::data {

namespace {

constexpr i64 kSide = 32, kClasses = 10, kLevels = 4, kBlock = kClasses * kLevels;
constexpr int kShapes = 5;

// A class is a shape (class % 5) filled with a texture (class / 5). Its hue is a hint that can be trusted
// less the harder the sample is. Position, size, rotation and both colours are free, so no single pixel tells
// much.
struct Level {
  float contrast;  // distance between object and background colours, 0..255
  float texture;   // distance between the texture's two colours
  float noise;     // amplitude, 0..255
  float hint;      // probability that the object has the hue of its class
  float small_radius, large_radius;
  float turn;              // rotation up to this tangent of the half angle
  u32 blobs, distractors;  // clutter in the background, other shapes in the corners
  float occlusion;         // share of the object's width that a bar may cover
};
constexpr std::array<Level, kLevels> kLevel{{
    {190, 130, 8, 0.80f, 10.0f, 13.5f, 0.10f, 0, 0, 0},
    {150, 105, 24, 0.60f, 8.5f, 13.0f, 0.30f, 2, 0, 0},
    {105, 80, 42, 0.40f, 7.5f, 12.5f, 0.60f, 4, 1, 0.25f},
    {75, 60, 56, 0.20f, 7.0f, 12.0f, 1.00f, 6, 2, 0.40f},
}};

using Colour = std::array<float, 3>;

Colour hue_colour(float hue, float value, float saturation) {  // hue in [0,6)
  Colour out{};
  for (int c = 0; c < 3; ++c) {
    float d = std::fabs(hue - 2.0f * float(c));
    d = std::min(d, 6.0f - d);  // distance around the circle, 0..3
    const float full = std::clamp(2.0f - d, 0.0f, 1.0f);
    out[size_t(c)] = value * (1.0f - saturation + saturation * full);
  }
  return out;
}

// Signed distance to the shape of half-width about 1 (negative inside); no function of libm but sqrt, which
// is exact: the images are the same bits everywhere.
float distance_to(int shape, float u, float v) {
  const float x = std::fabs(u), y = std::fabs(v);
  switch (shape) {
    case 0:
      return std::sqrt(u * u + v * v) - 0.95f;  // disc
    case 1:
      return std::max(x, y) - 0.8f;  // square
    case 2:
      return std::max(0.866f * x + 0.5f * v, -v) - 0.55f;  // triangle
    case 3:
      return std::max(std::min(x, y) - 0.3f, std::max(x, y) - 0.95f);  // plus
    default:
      return std::fabs(std::sqrt(u * u + v * v) - 0.72f) - 0.25f;  // ring
  }
}

float triangle_wave(float x) {                     // period 1, -1..1
  const float f = x - float(i32(x + 64.0f) - 64);  // |x| < 64 here; std::floor is a call on old targets
  return 4.0f * std::fabs(f - 0.5f) - 1.0f;
}

struct Canvas {
  std::array<float, kSide * kSide * 3> pixels;

  void blend(i64 row, i64 col, const Colour& colour, float share) {
    float* p = &pixels[size_t((row * kSide + col) * 3)];
    for (size_t c = 0; c < 3; ++c) p[c] += (colour[c] - p[c]) * share;
  }

  // Calls f(row, col) for the pixels within `reach` of the centre.
  template <class F>
  static void around(float x, float y, float reach, F&& f) {
    const i64 top = std::max<i64>(0, i64(y - reach)), bottom = std::min<i64>(kSide - 1, i64(y + reach) + 1);
    const i64 left = std::max<i64>(0, i64(x - reach)), right = std::min<i64>(kSide - 1, i64(x + reach) + 1);
    for (i64 row = top; row <= bottom; ++row)
      for (i64 col = left; col <= right; ++col) f(row, col);
  }
};

struct Object {
  int shape, texture;  // texture: 0 stripes, 1 checks, -1 none
  float x, y, radius, cosine, sine, phase;
  Colour light, dark;
};

void draw(Canvas& canvas, const Object& o) {
  const float inverse = 1.0f / o.radius;
  canvas.around(o.x, o.y, 1.45f * o.radius, [&](i64 row, i64 col) {
    const float dx = (float(col) + 0.5f - o.x), dy = (float(row) + 0.5f - o.y);
    const float u = (dx * o.cosine + dy * o.sine) * inverse, v = (dy * o.cosine - dx * o.sine) * inverse;
    const float cover = std::clamp(0.5f - distance_to(o.shape, u, v) * o.radius, 0.0f, 1.0f);
    if (cover <= 0) return;
    // Periods in pixels, whatever the object's size: 5 for the stripes, 7 for the checks.
    float wave = 0;
    if (o.texture == 0) wave = triangle_wave(u * o.radius * 0.2f + o.phase);
    if (o.texture == 1)
      wave = triangle_wave(u * o.radius * 0.143f + o.phase) * triangle_wave(v * o.radius * 0.143f + o.phase) *
             2.0f;
    const float mix = std::clamp(0.5f + 1.5f * wave, 0.0f, 1.0f);
    Colour colour;
    for (size_t c = 0; c < 3; ++c) colour[c] = o.dark[c] + (o.light[c] - o.dark[c]) * mix;
    canvas.blend(row, col, colour, cover);
  });
}

void rotate(Object& o, Rng& rng, float turn) {
  // Rational parametrisation of the circle by the tangent of half the angle.
  const float t = rng.uniform(-turn, turn), scale = 1.0f / (1.0f + t * t);
  o.cosine = (1.0f - t * t) * scale;
  o.sine = 2.0f * t * scale;
}

void paint(u8* out, i64 label, i64 difficulty, Rng rng) {
  const Level& level = kLevel[size_t(difficulty)];
  Canvas canvas;

  // Background: a colour with a gradient.
  const float ground = rng.uniform(60, 195), slope_x = rng.uniform(-1, 1), slope_y = rng.uniform(-1, 1);
  const Colour back = hue_colour(rng.uniform(0, 6), ground, rng.uniform(0, 0.45f));
  for (i64 row = 0; row < kSide; ++row)
    for (i64 col = 0; col < kSide; ++col)
      for (i64 c = 0; c < 3; ++c)
        canvas.pixels[size_t((row * kSide + col) * 3 + c)] =
            back[size_t(c)] + slope_x * float(col - 16) + slope_y * float(row - 16);

  // Clutter: soft blobs.
  for (u32 i = 0; i < level.blobs; ++i) {
    const float x = rng.uniform(0, 32), y = rng.uniform(0, 32), r = rng.uniform(2, 7);
    const Colour colour = hue_colour(rng.uniform(0, 6), ground + rng.uniform(-60, 60), rng.uniform(0, 0.7f));
    const float strength = rng.uniform(0.4f, 0.9f);
    canvas.around(x, y, r, [&](i64 row, i64 col) {
      const float dx = (float(col) + 0.5f - x) / r, dy = (float(row) + 0.5f - y) / r;
      canvas.blend(row, col, colour, strength * std::max(0.0f, 1.0f - dx * dx - dy * dy));
    });
  }

  Object object{.shape = int(label % kShapes), .texture = int(label / kShapes)};
  object.radius = rng.uniform(level.small_radius, level.large_radius);
  const float room = 16.0f - 0.85f * object.radius;
  object.x = 16.0f + rng.uniform(-room, room);
  object.y = 16.0f + rng.uniform(-room, room);
  object.phase = rng.uniform();
  rotate(object, rng, level.turn);
  const bool honest = rng.uniform() < level.hint;
  const float own_hue = 0.6f * float(label) + rng.uniform(-0.25f, 0.25f), any_hue = rng.uniform(0, 6);
  float hue = honest ? own_hue : any_hue;
  hue = hue < 0 ? hue + 6 : hue;
  // Brighter or darker than the ground, by the level's contrast.
  const float side = ground > 127 ? -1.0f : 1.0f;
  const float value = std::clamp(ground + side * level.contrast, 20.0f, 250.0f);
  object.light = hue_colour(hue, value, 0.55f);
  const float second = std::clamp(value - side * level.texture, 5.0f, 250.0f);
  object.dark = hue_colour(hue, second, 0.55f);

  // Distractors: plain shapes in other places, drawn below the object.
  for (u32 i = 0; i < level.distractors; ++i) {
    Object other{.shape = int(rng.below(kShapes)), .texture = -1};
    other.radius = rng.uniform(3, 5);
    other.x = object.x > 16 ? rng.uniform(0, 9) : rng.uniform(23, 32);
    other.y = rng.uniform(2, 30);
    other.phase = 0;
    rotate(other, rng, 1);
    other.light = other.dark = hue_colour(rng.uniform(0, 6), ground + side * level.contrast * 0.8f, 0.5f);
    draw(canvas, other);
  }
  draw(canvas, object);

  // Occlusion: a bar of the background's colour through the object.
  if (level.occlusion > 0) {
    const float width = rng.uniform(0, level.occlusion) * object.radius * 2.0f;
    const float at = rng.uniform(-0.6f, 0.6f) * object.radius;
    const bool upright = rng.below(2) == 0;
    const float centre = (upright ? object.x : object.y) + at;
    for (i64 row = 0; row < kSide; ++row)
      for (i64 col = 0; col < kSide; ++col) {
        const float d = std::fabs(float(upright ? col : row) + 0.5f - centre) - 0.5f * width;
        if (d < 0) canvas.blend(row, col, back, std::min(1.0f, -d));
      }
  }

  // Noise, triangular: the difference of two bytes.
  const float scale = level.noise / 255.0f;
  for (size_t i = 0; i < canvas.pixels.size();) {
    const u32 bits = rng.next_u32();
    for (int half = 0; half < 2; ++half, ++i) {
      const i32 noise = i32(bits >> (16 * half) & 255) - i32(bits >> (16 * half + 8) & 255);
      out[i] = u8(std::clamp(canvas.pixels[i] + scale * float(noise) + 0.5f, 0.0f, 255.0f));
    }
  }
}

}  // namespace

Dataset synthetic(u64 seed, u64 stream, i64 count) {
  Dataset out{.name = "synthetic", .images = Tensor::empty({count, kSide, kSide, 3}, DType::u8)};
  for (const char* texture : {"striped", "checked"})
    for (const char* shape : {"disc", "square", "triangle", "plus", "ring"})
      out.classes.push_back(std::string(texture) + " " + shape);
  out.labels.resize(size_t(count));
  out.difficulty.resize(size_t(count));
  const Rng root = Rng(seed).derive(stream);
  std::array<i64, kBlock> order;
  u8* to = out.images.data<u8>();
  for (i64 i = 0; i < count; ++i) {
    if (i % kBlock == 0) {
      Rng shuffle = root.derive(1, u64(i / kBlock));
      for (i64 k = 0; k < kBlock; ++k) order[size_t(k)] = k;
      for (u32 k = kBlock - 1; k > 0; --k) std::swap(order[k], order[shuffle.below(k + 1)]);
    }
    const i64 code = order[size_t(i % kBlock)];
    out.labels[size_t(i)] = code % kClasses;
    out.difficulty[size_t(i)] = code / kClasses;
    paint(to + i * kSide * kSide * 3, code % kClasses, code / kClasses, root.derive(2, u64(i)));
  }
  return out;
}

}  // namespace offramp::data
