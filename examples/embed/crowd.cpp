// A generated model in C++: weights are immutable and shared, every thread brings its own arena.
//
//   crowd PICTURE.pgm [THREADS]        a binary grey map of 28 x 28
#include "fashion.h"

#include <array>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace {

using Pixels = std::array<unsigned char, 28 * 28>;
constexpr std::array<const char *, 10> names = {"T-shirt/top", "Trouser", "Pullover", "Dress",   "Coat",
                                                "Sandal",      "Shirt",   "Sneaker",  "Bag",     "Ankle boot"};

struct AlignedDelete {
  void operator()(unsigned char *memory) const { ::operator delete[](memory, std::align_val_t{FASHION_ALIGN}); }
};
using Memory = std::unique_ptr<unsigned char[], AlignedDelete>;

Memory aligned(std::size_t bytes) {
  return Memory{static_cast<unsigned char *>(::operator new[](bytes + 1, std::align_val_t{FASHION_ALIGN}))};
}

// The weights of the model, read once.
class Weights {
public:
  explicit Weights(const std::string &path) {
    std::ifstream file(path, std::ios::binary | std::ios::ate);
    if (!file) throw std::runtime_error("cannot open " + path);
    const auto bytes = static_cast<std::size_t>(file.tellg());
    memory = aligned(bytes);
    file.seekg(0);
    file.read(reinterpret_cast<char *>(memory.get()), static_cast<std::streamsize>(bytes));
    if (!file || fashion_bind(&bound, memory.get(), bytes) != GM_OK) throw std::runtime_error(path + ": no weights of this model");
  }
  const fashion_weights *get() const { return &bound; }

private:
  Memory memory;
  fashion_weights bound{};
};

// One user of the model: shares the weights, owns an arena.
class Classifier {
public:
  explicit Classifier(const Weights &weights) : weights(weights), arena(aligned(FASHION_ARENA_BYTES)) {}
  std::size_t operator()(const Pixels &pixels) {
    std::array<float, 10> logits{};
    fashion_run(weights.get(), arena.get(), pixels.data(), logits.data());
    std::size_t best = 0;
    for (std::size_t k = 1; k < logits.size(); k++)
      if (logits[k] > logits[best]) best = k;
    return best;
  }

private:
  const Weights &weights;
  Memory arena;
};

Pixels read_picture(const std::string &path) {
  std::ifstream file(path, std::ios::binary);
  std::string magic;
  int width = 0, height = 0, white = 0;
  Pixels pixels{};
  file >> magic >> width >> height >> white;
  file.get();
  file.read(reinterpret_cast<char *>(pixels.data()), static_cast<std::streamsize>(pixels.size()));
  if (!file || magic != "P5" || width != 28 || height != 28 || white != 255) throw std::runtime_error(path + ": no P5 picture of 28 x 28");
  return pixels;
}

} // namespace

int main(int argc, char **argv) try {
  if (argc < 2) throw std::runtime_error("usage: crowd PICTURE.pgm [THREADS]");
  const Pixels pixels = read_picture(argv[1]);
  const Weights weights(FASHION_WEIGHTS);
  const int count = argc > 2 ? std::atoi(argv[2]) : 4;
  std::vector<std::size_t> answers(static_cast<std::size_t>(count > 0 ? count : 1));
  std::vector<std::thread> threads;
  for (auto &answer : answers)
    threads.emplace_back([&] { // each looks ten times
      Classifier classify(weights);
      for (int i = 0; i < 10; i++) answer = classify(pixels);
    });
  for (auto &thread : threads) thread.join();
  for (const auto answer : answers)
    if (answer != answers[0]) throw std::runtime_error("the threads disagree");
  std::printf("%zu threads agree: %s\n", answers.size(), names[answers[0]]);
  return 0;
} catch (const std::exception &error) {
  std::fprintf(stderr, "crowd: %s\n", error.what());
  return 1;
}
