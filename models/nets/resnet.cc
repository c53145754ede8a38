// SPDX-License-Identifier: Apache-2.0
// ResNet-18 and ResNet-34: basic blocks, torchvision's names ("layer1.0.conv1.weight"; "bn1" whatever it normalises
// over).

#include <string>
#include <vector>

#include "models/nets/architectures.h"
#include "models/nets/module_network.h"
#include "models/nets/normalisation.h"

namespace cloister::models {
namespace {

namespace nn = torch::nn;

nn::Conv2d Convolution(int64_t in, int64_t out, int64_t kernel, int64_t stride) {
  return nn::Conv2d(nn::Conv2dOptions(in, out, kernel).stride(stride).padding(kernel / 2).bias(false));
}

template <typename Norm>
struct BasicBlock : nn::Module {
  BasicBlock(int64_t in, int64_t out, int64_t stride)
      : conv1(Convolution(in, out, 3, stride)),
        bn1(MakeNorm<Norm>(out)),
        conv2(Convolution(out, out, 3, 1)),
        bn2(MakeNorm<Norm>(out)) {
    register_module("conv1", conv1);
    register_module("bn1", bn1);
    register_module("conv2", conv2);
    register_module("bn2", bn2);
    if (stride != 1 || in != out) {
      downsample = register_module("downsample", nn::Sequential(Convolution(in, out, 1, stride), MakeNorm<Norm>(out)));
    }
  }

  torch::Tensor forward(torch::Tensor x) {
    torch::Tensor y = bn1->forward(conv1->forward(x)).relu_();
    y = bn2->forward(conv2->forward(y));
    y += downsample.is_empty() ? x : downsample->forward(x);
    return y.relu_();
  }

  nn::Conv2d conv1;
  Norm bn1;
  nn::Conv2d conv2;
  Norm bn2;
  nn::Sequential downsample{nullptr};
};

template <typename Norm>
struct ResNet : nn::Module {
  ResNet(const std::vector<int>& blocks, int64_t channels, int64_t outputs)
      : conv1(Convolution(channels, 64, 7, 2)), bn1(MakeNorm<Norm>(64)), fc(512, outputs) {
    register_module("conv1", conv1);
    register_module("bn1", bn1);
    int64_t in = 64;
    for (size_t i = 0; i < blocks.size(); ++i) {
      const int64_t out = int64_t{64} << i;
      nn::Sequential layer;
      for (int j = 0; j < blocks[i]; ++j) {
        layer->push_back(std::make_shared<BasicBlock<Norm>>(in, out, j == 0 && i > 0 ? 2 : 1));
        in = out;
      }
      layers.push_back(register_module("layer" + std::to_string(i + 1), layer));
    }
    register_module("fc", fc);
  }

  torch::Tensor forward(torch::Tensor x) {
    x = bn1->forward(conv1->forward(x)).relu_();
    x = torch::max_pool2d(x, 3, 2, 1);
    for (nn::Sequential& layer : layers) {
      x = layer->forward(x);
    }
    return fc->forward(x.mean({2, 3}));
  }

  nn::Conv2d conv1;
  Norm bn1;
  std::vector<nn::Sequential> layers;
  nn::Linear fc;
};

template <typename Norm>
std::unique_ptr<Network> Make(const std::vector<int>& blocks, const ModelSpec& spec) {
  return std::make_unique<ModuleNetwork<ResNet<Norm>>>(
      std::make_shared<ResNet<Norm>>(blocks, spec.input_channels, spec.outputs));
}

}  // namespace

std::unique_ptr<Network> MakeResNet18(const ModelSpec& spec) {
  return Make<nn::BatchNorm2d>({2, 2, 2, 2}, spec);
}

std::unique_ptr<Network> MakeResNet34(const ModelSpec& spec) {
  return Make<nn::BatchNorm2d>({3, 4, 6, 3}, spec);
}

std::unique_ptr<Network> MakeResNet18Gn(const ModelSpec& spec) {
  return Make<nn::GroupNorm>({2, 2, 2, 2}, spec);
}

std::unique_ptr<Network> MakeResNet34Gn(const ModelSpec& spec) {
  return Make<nn::GroupNorm>({3, 4, 6, 3}, spec);
}

}  // namespace cloister::models
