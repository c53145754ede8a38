// SPDX-License-Identifier: Apache-2.0
#include "site_agent/ingest/stored_samples.h"

#include <cstring>

#include "protocols/crypto/hash.h"

namespace cloister::site {
namespace {

template <typename Sample>
void ExtendSign(const PixelLayout& layout, std::string* bytes) {
  const int above = layout.bits_allocated - 1 - layout.high_bit;
  const int unused = layout.bits_allocated - layout.bits_stored;
  for (size_t at = 0; at + sizeof(Sample) <= bytes->size(); at += sizeof(Sample)) {
    std::make_unsigned_t<Sample> bits;
    std::memcpy(&bits, bytes->data() + at, sizeof(bits));
    bits = static_cast<std::make_unsigned_t<Sample>>(bits << above);
    const auto sample = static_cast<Sample>(static_cast<Sample>(bits) >> unused);
    std::memcpy(bytes->data() + at, &sample, sizeof(sample));
  }
}

void ExtendSign(const PixelLayout& layout, std::string* bytes) {
  switch (layout.bits_allocated) {
    case 8:
      return ExtendSign<int8_t>(layout, bytes);
    case 16:
      return ExtendSign<int16_t>(layout, bytes);
    case 32:
      return ExtendSign<int32_t>(layout, bytes);
    default:
      return;
  }
}

// Bits of any number of frames to bytes.
class BitPacker {
 public:
  void Add(const std::string& bits, crypto::Sha256Stream& digest) {
    std::string packed;
    packed.reserve(bits.size() / 8 + 1);
    for (const char bit : bits) {
      byte_ |= (bit & 1) << count_;
      if (++count_ == 8) {
        packed += static_cast<char>(byte_);
        byte_ = count_ = 0;
      }
    }
    digest.Update(packed);
  }
  void Finish(crypto::Sha256Stream& digest) {
    if (count_ > 0) {
      digest.Update(std::string(1, static_cast<char>(byte_)));
    }
  }

 private:
  int byte_ = 0;
  int count_ = 0;
};

}  // namespace

std::optional<Rejection> ForEachFrame(OpenedDataset& opened, const PixelLayout& layout,
                                      const std::function<void(const RawFrame& frame)>& visit) {
  const bool native = !DcmXfer(opened.data->getOriginalXfer()).isEncapsulated();
  FrameReader reader(&opened, &layout);
  if (auto rejection = reader.Check()) {
    return rejection;
  }
  for (int frame = 0; frame < layout.frames; ++frame) {
    RawFrame raw;
    if (auto rejection = reader.Read(frame, &raw)) {
      return rejection;
    }
    if (layout.is_signed && native) {
      ExtendSign(layout, &raw.bytes);
    }
    visit(raw);
  }
  return std::nullopt;
}

std::variant<Digest, Rejection> DigestOfSamples(OpenedDataset& opened, const PixelLayout& layout) {
  crypto::Sha256Stream digest;
  BitPacker packer;
  const auto rejection = ForEachFrame(opened, layout, [&](const RawFrame& frame) {
    if (layout.bits_allocated == 1) {
      packer.Add(frame.bytes, digest);
    } else {
      digest.Update(frame.bytes);
    }
  });
  if (rejection) {
    return *rejection;
  }
  packer.Finish(digest);
  return digest.Finish();
}

}  // namespace cloister::site
