// SPDX-License-Identifier: Apache-2.0
// The small U-Net: three halvings, skip connections, nearest-neighbour enlargement followed by a convolution.

#include "models/nets/architectures.h"
#include "models/nets/module_network.h"
#include "models/nets/normalisation.h"

namespace cloister::models {
namespace {

namespace nn = torch::nn;

template <typename Norm>
nn::Sequential DoubleConvolution(int64_t in, int64_t out) {
  const auto convolution = [](int64_t from, int64_t to) {
    return nn::Conv2d(nn::Conv2dOptions(from, to, 3).padding(1).bias(false));
  };
  return nn::Sequential(convolution(in, out), MakeNorm<Norm>(out), nn::ReLU(nn::ReLUOptions(true)),
                        convolution(out, out), MakeNorm<Norm>(out), nn::ReLU(nn::ReLUOptions(true)));
}

torch::Tensor Enlarge(const torch::Tensor& x) {
  return torch::upsample_nearest2d(x, {x.size(2) * 2, x.size(3) * 2});
}

template <typename Norm>
struct UNet : nn::Module {
  UNet(int64_t channels, int64_t outputs)
      : down1(DoubleConvolution<Norm>(channels, 16)),
        down2(DoubleConvolution<Norm>(16, 32)),
        down3(DoubleConvolution<Norm>(32, 64)),
        bottom(DoubleConvolution<Norm>(64, 128)),
        up3(DoubleConvolution<Norm>(128 + 64, 64)),
        up2(DoubleConvolution<Norm>(64 + 32, 32)),
        up1(DoubleConvolution<Norm>(32 + 16, 16)),
        head(nn::Conv2dOptions(16, outputs, 1)) {
    register_module("down1", down1);
    register_module("down2", down2);
    register_module("down3", down3);
    register_module("bottom", bottom);
    register_module("up3", up3);
    register_module("up2", up2);
    register_module("up1", up1);
    register_module("head", head);
  }

  torch::Tensor forward(const torch::Tensor& x) {
    const torch::Tensor a = down1->forward(x);
    const torch::Tensor b = down2->forward(torch::max_pool2d(a, 2));
    const torch::Tensor c = down3->forward(torch::max_pool2d(b, 2));
    torch::Tensor y = bottom->forward(torch::max_pool2d(c, 2));
    y = up3->forward(torch::cat({Enlarge(y), c}, 1));
    y = up2->forward(torch::cat({Enlarge(y), b}, 1));
    y = up1->forward(torch::cat({Enlarge(y), a}, 1));
    return head->forward(y);
  }

  nn::Sequential down1, down2, down3, bottom, up3, up2, up1;
  nn::Conv2d head;
};

template <typename Norm>
std::unique_ptr<Network> Make(const ModelSpec& spec) {
  return std::make_unique<ModuleNetwork<UNet<Norm>>>(std::make_shared<UNet<Norm>>(spec.input_channels, spec.outputs));
}

}  // namespace

std::unique_ptr<Network> MakeUNetSmall(const ModelSpec& spec) {
  return Make<nn::BatchNorm2d>(spec);
}

std::unique_ptr<Network> MakeUNetSmallGn(const ModelSpec& spec) {
  return Make<nn::GroupNorm>(spec);
}

}  // namespace cloister::models
