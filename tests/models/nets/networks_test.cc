// SPDX-License-Identifier: Apache-2.0
// Known architectures by their published parameter counts and names; weights in and out; hostile weights and modules.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/script.h>

#include <cmath>
#include <fstream>
#include <limits>
#include <set>

#include "models/nets/init.h"
#include "models/nets/network.h"
#include "models/nets/registry.h"
#include "models/nets/weights.h"
#include "models/torch_guard.h"
#include "models/trainer.h"
#include "protocols/update/model_state.h"
#include "tests/support/temp_dir.h"

namespace cloister::models {
namespace {

using ::testing::HasSubstr;

ModelSpec Spec(const std::string& architecture, int channels = 1, int outputs = 1) {
  ModelSpec spec;
  spec.architecture = architecture;
  spec.input_channels = channels;
  spec.outputs = outputs;
  spec.seed = 7;
  return spec;
}

int64_t Count(const NamedTensors& tensors) {
  int64_t count = 0;
  for (const auto& [name, tensor] : tensors) {
    count += tensor.numel();
  }
  return count;
}

TEST(NetworksTest, ResNetsHaveThePublishedSizes) {
  // torchvision: 11,689,512 and 21,797,672 for 1000 classes and 3 channels; 513 per class.
  EXPECT_EQ(Count((*CreateNetwork(Spec("resnet18", 3, 1000)))->Parameters()), 11689512);
  EXPECT_EQ(Count((*CreateNetwork(Spec("resnet34", 3, 1000)))->Parameters()), 21797672);
  EXPECT_EQ(Count((*CreateNetwork(Spec("resnet18", 3)))->Parameters()), 11177025);
  const auto network = *CreateNetwork(Spec("resnet18"));
  EXPECT_EQ(Count(network->Parameters()), 11177025 - 2 * 64 * 49);
  EXPECT_EQ(Count(network->State()), 11177025 - 2 * 64 * 49 + 2 * 4800);  // 4800 normalised channels
}

TEST(NetworksTest, ResNet18HasTorchvisionsNamesAndShapes) {
  const auto network = *CreateNetwork(Spec("resnet18", 3));
  std::map<std::string, std::vector<int64_t>> shapes;
  for (const auto& [name, tensor] : network->State()) {
    shapes[name] = tensor.sizes().vec();
  }
  EXPECT_EQ(shapes.size(), 102u);  // 122 of torchvision's state_dict without 20 num_batches_tracked
  const std::map<std::string, std::vector<int64_t>> some = {
      {"conv1.weight", {64, 3, 7, 7}},
      {"bn1.running_var", {64}},
      {"layer1.1.bn2.bias", {64}},
      {"layer2.0.conv1.weight", {128, 64, 3, 3}},
      {"layer2.0.downsample.0.weight", {128, 64, 1, 1}},
      {"layer2.0.downsample.1.running_mean", {128}},
      {"layer4.1.conv2.weight", {512, 512, 3, 3}},
      {"fc.weight", {1, 512}},
      {"fc.bias", {1}},
  };
  for (const auto& [name, shape] : some) {
    EXPECT_EQ(shapes[name], shape) << name;
  }
}

TEST(NetworksTest, ShapesThroughTheNetworks) {
  torch::NoGradGuard no_grad;
  EXPECT_EQ((*CreateNetwork(Spec("resnet18")))->Forward(torch::zeros({2, 1, 33, 47})).sizes().vec(),
            (std::vector<int64_t>{2, 1}));
  EXPECT_EQ((*CreateNetwork(Spec("resnet34", 3, 4)))->Forward(torch::zeros({2, 3, 32, 32})).sizes().vec(),
            (std::vector<int64_t>{2, 4}));
  EXPECT_EQ((*CreateNetwork(Spec("unet_small", 1, 2)))->Forward(torch::zeros({1, 1, 24, 40})).sizes().vec(),
            (std::vector<int64_t>{1, 2, 24, 40}));
}

// What differential privacy for patients rests on: no image changes what another one gives, in training either, and
// there is nothing but parameters.
TEST(NetworksTest, GroupNormalisationKeepsImagesApart) {
  for (const std::string architecture : {"resnet18_gn", "resnet34_gn", "unet_small_gn"}) {
    const auto network = *CreateNetwork(Spec(architecture));
    ASSERT_TRUE(InitializeWeights(*network, "he_normal", 7).ok());
    EXPECT_EQ(network->State().size(), network->Parameters().size()) << architecture;
    torch::NoGradGuard no_grad;
    network->SetTraining(true);
    const torch::Tensor images = torch::randn({3, 1, 32, 32});
    const torch::Tensor together = network->Forward(images);
    for (int64_t i = 0; i < 3; ++i) {
      // Kernels for batches of another size may round otherwise.
      EXPECT_TRUE(torch::allclose(network->Forward(images.slice(0, i, i + 1)), together.slice(0, i, i + 1), 1e-3, 1e-4))
          << architecture;
    }
  }
  // The same weights as with batch normalisation, without its running statistics.
  EXPECT_EQ(Count((*CreateNetwork(Spec("resnet18_gn", 3)))->State()), 11177025);
}

TEST(NetworksTest, AWrongSizeIsAStatus) {
  const auto network = *CreateNetwork(Spec("unet_small"));
  const absl::Status status = Guard("test", absl::StatusCode::kInvalidArgument, [&]() -> absl::Status {
    network->Forward(torch::zeros({1, 1, 25, 40}));
    return absl::OkStatus();
  });
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), ::testing::StartsWith("test: "));
  EXPECT_EQ(std::string(status.message()).find('\n'), std::string::npos);
}

TEST(NetworksTest, RefusesUnknownSpecs) {
  EXPECT_THAT(std::string(CreateNetwork(Spec("resnet1")).status().message()),
              HasSubstr("resnet18, resnet34, unet_small, resnet18_gn, resnet34_gn, unet_small_gn, torchscript"));
  EXPECT_EQ(CreateNetwork(Spec("resnet18", 2)).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(CreateNetwork(Spec("resnet18", 1, 0)).status().code(), absl::StatusCode::kInvalidArgument);
  const auto network = *CreateNetwork(Spec("unet_small"));
  EXPECT_THAT(std::string(InitializeWeights(*network, "zeros", 1).message()), HasSubstr("he_normal"));
}

TEST(NetworksTest, InitialWeightsAreSeededAndHeNormal) {
  const auto a = *CreateNetwork(Spec("unet_small"));
  const auto b = *CreateNetwork(Spec("unet_small"));
  ASSERT_TRUE(InitializeWeights(*a, "he_normal", 7).ok());
  at::set_num_threads(2);
  ASSERT_TRUE(InitializeWeights(*b, "he_normal", 7).ok());
  at::set_num_threads(1);
  EXPECT_EQ(*SaveWeights(*a), *SaveWeights(*b));
  ASSERT_TRUE(InitializeWeights(*b, "he_normal", 8).ok());
  EXPECT_NE(*SaveWeights(*a), *SaveWeights(*b));
  for (const auto& [name, tensor] : a->State()) {
    if (name == "bottom.3.weight") {  // [128, 128, 3, 3]
      EXPECT_NEAR(tensor.mean().item<double>(), 0, 1e-3);
      // 147456 draws: the standard error of the deviation is 0.2%.
      EXPECT_NEAR(tensor.std().item<double>(), std::sqrt(2.0 / (128 * 9)), 1e-3 * 0.4);
    } else if (name == "down1.1.weight" || name == "down1.1.running_var") {
      EXPECT_EQ(tensor.min().item<float>(), 1);
      EXPECT_EQ(tensor.max().item<float>(), 1);
    }
  }
}

TEST(NetworksTest, WeightsSurviveARoundTrip) {
  const auto a = *CreateNetwork(Spec("unet_small"));
  const auto b = *CreateNetwork(Spec("unet_small"));
  ASSERT_TRUE(InitializeWeights(*a, "he_normal", 7).ok());
  ASSERT_TRUE(InitializeWeights(*b, "he_normal", 8).ok());
  a->Forward(torch::randn({2, 1, 16, 16}));  // moves the running statistics
  const Bytes saved = *SaveWeights(*a);
  ASSERT_TRUE(LoadWeights(saved, *b).ok());
  EXPECT_EQ(*SaveWeights(*b), saved);
  torch::NoGradGuard no_grad;
  a->SetTraining(false);
  b->SetTraining(false);
  const torch::Tensor image = torch::randn({1, 1, 16, 16});
  EXPECT_TRUE(torch::equal(a->Forward(image), b->Forward(image)));
}

TEST(NetworksTest, HostileWeightsAreRefusedAndChangeNothing) {
  const auto network = *CreateNetwork(Spec("unet_small"));
  ASSERT_TRUE(InitializeWeights(*network, "he_normal", 7).ok());
  const Bytes good = *SaveWeights(*network);
  const update::ModelState state = *update::ParseModelState(good);
  const auto refuses = [&](const Bytes& model, const char* why) {
    const absl::Status status = LoadWeights(model, *network);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << why;
    EXPECT_THAT(std::string(status.message()), HasSubstr(why));
    EXPECT_EQ(*SaveWeights(*network), good);
  };
  const auto changed = [&](auto change) {
    std::vector<update::Layout::NamedShape> shapes;
    for (const update::Tensor& tensor : state.layout.tensors()) {
      shapes.push_back({tensor.name, tensor.shape});
    }
    change(shapes);
    const update::Layout layout = *update::Layout::Create(shapes);
    return *update::EncodeModelState(layout, std::vector<float>(layout.parameters()));
  };
  refuses(changed([](auto& shapes) { shapes.pop_back(); }), "is missing");
  refuses(changed([](auto& shapes) { shapes.push_back({"zz.foreign", {3}}); }), "no tensor 'zz.foreign'");
  refuses(changed([](auto& shapes) { shapes[0].shape.push_back(2); }), "the network has");
  for (float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    std::vector<float> values = state.values;
    values[values.size() / 2] = bad;
    refuses(*update::EncodeModelState(state.layout, values), "not finite");
  }
  for (size_t size : {size_t{0}, size_t{7}, size_t{8}, size_t{100}, good.size() - 4, good.size() - 1}) {
    refuses(good.substr(0, size), "");
  }
  refuses(good + "x", "");
}

// y = flatten(x)[:, :3] @ w
void SaveScript(const std::filesystem::path& path, torch::ScalarType type = torch::kFloat32,
                const std::string& body = "return torch.flatten(x, 1)[:, :3] @ self.w") {
  torch::jit::Module module("net");
  module.register_parameter("w", torch::ones({3, 1}, type), /*is_buffer=*/false);
  module.register_buffer("running_mean", torch::zeros({3}, type));
  module.define("def forward(self, x):\n  " + body + "\n");
  module.save(path.string());
}

TEST(TorchScriptTest, ImportsAModuleWithItsWeights) {
  const cloister::testing::TempDir dir;
  ModelSpec spec = Spec("torchscript");
  spec.torchscript_file = (dir.path() / "net.pt").string();
  SaveScript(spec.torchscript_file);
  const auto initial = MakeInitialModel(spec);
  ASSERT_TRUE(initial.ok()) << initial.status();
  EXPECT_EQ(initial->parameters, 6);
  const auto network = *CreateNetwork(spec);
  torch::NoGradGuard no_grad;
  EXPECT_EQ(network->Forward(torch::ones({2, 1, 8, 8}))[1][0].item<float>(), 3);
  ASSERT_TRUE(LoadWeights(initial->model, *network).ok());

  update::ModelState state = *update::ParseModelState(initial->model);
  state.values.assign(6, 2.0F);
  ASSERT_TRUE(LoadWeights(*update::EncodeModelState(state.layout, state.values), *network).ok());
  EXPECT_EQ(network->Forward(torch::ones({2, 1, 8, 8}))[0][0].item<float>(), 6);
}

TEST(TorchScriptTest, RefusesWhatIsNoModule) {
  const cloister::testing::TempDir dir;
  ModelSpec spec = Spec("torchscript");
  spec.torchscript_file = (dir.path() / "net.pt").string();
  EXPECT_EQ(CreateNetwork(spec).status().code(), absl::StatusCode::kInvalidArgument);  // no file
  std::ofstream(spec.torchscript_file) << "PK\x03\x04 not a module";
  EXPECT_EQ(CreateNetwork(spec).status().code(), absl::StatusCode::kInvalidArgument);
  SaveScript(spec.torchscript_file, torch::kFloat64);
  EXPECT_THAT(std::string(CreateNetwork(spec).status().message()), HasSubstr("float32"));
  SaveScript(spec.torchscript_file);
  std::filesystem::resize_file(spec.torchscript_file, std::filesystem::file_size(spec.torchscript_file) / 2);
  EXPECT_EQ(CreateNetwork(spec).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(TorchScriptTest, AModuleThatRaisesIsAStatus) {
  const cloister::testing::TempDir dir;
  ModelSpec spec = Spec("torchscript");
  spec.torchscript_file = (dir.path() / "net.pt").string();
  SaveScript(spec.torchscript_file, torch::kFloat32, "assert x.size(0) < 0\n  return x");
  const auto initial = MakeInitialModel(spec);
  ASSERT_TRUE(initial.ok()) << initial.status();
  const std::vector<uint8_t> pixels(64, 1);
  const auto trained = Train(spec, initial->model, {1, 8, 8, {pixels.data(), pixels.data()}, {0, 1}, {}}, {});
  EXPECT_EQ(trained.status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace cloister::models
