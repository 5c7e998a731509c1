// swift-tools-version: 6.1
import Foundation
import PackageDescription

/// Where libtorch lies: `LOTA_TORCH` if set, else the link that `Scripts/bootstrap` makes.
let torch = ProcessInfo.processInfo.environment["LOTA_TORCH"] ?? Context.packageDirectory + "/.torch"

let strict: [SwiftSetting] = [
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("MemberImportVisibility"),
]

let package = Package(
  name: "lota",
  platforms: [.macOS(.v15)],
  products: [
    .executable(name: "lota", targets: ["lota"]),
    .library(name: "Tickets", targets: ["Tickets"]),
    .library(name: "Merging", targets: ["Merging"]),
    .library(name: "Adaptation", targets: ["Adaptation"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
    .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
    .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
  ],
  targets: [
    .target(
      name: "CTorch",
      cxxSettings: [
        .unsafeFlags([
          "-I\(torch)/include", "-I\(torch)/include/torch/csrc/api/include",
          "-O3", "-fno-math-errno", "-Wno-deprecated-declarations",
        ])
      ],
      linkerSettings: [
        .unsafeFlags(["-L\(torch)/lib", "-Xlinker", "-rpath", "-Xlinker", "\(torch)/lib"]),
        .linkedLibrary("torch_cpu"), .linkedLibrary("c10"), .linkedLibrary("dl", .when(platforms: [.linux])),
      ]),
    .target(name: "Torch", dependencies: ["CTorch"], swiftSettings: strict),
    .target(name: "Primitives", swiftSettings: strict),
    .target(name: "Reports", swiftSettings: strict),
    .target(name: "Settings", dependencies: [.product(name: "Yams", package: "Yams")], swiftSettings: strict),
    .target(
      name: "Checkpoints",
      dependencies: ["Primitives", "Torch", .product(name: "Crypto", package: "swift-crypto")],
      swiftSettings: strict),
    .target(
      name: "Tokenizers",
      dependencies: ["Primitives", .product(name: "HeapModule", package: "swift-collections")],
      swiftSettings: strict),
    .target(name: "Transport", swiftSettings: strict),
    .target(
      name: "Hub",
      dependencies: ["Primitives", "Transport", "Checkpoints", .product(name: "Crypto", package: "swift-crypto")],
      swiftSettings: strict),
    .target(name: "Decoder", dependencies: ["Primitives", "Torch", "Checkpoints"], swiftSettings: strict),
    .target(
      name: "Evaluation",
      dependencies: [
        "Primitives", "Settings", "Torch", "Checkpoints", "Tokenizers", "Decoder", "Transport",
      ],
      resources: [.embedInCode("Resources/tasks")],
      swiftSettings: strict),
    .target(name: "Tickets", dependencies: ["Primitives", "Checkpoints", "Torch"], swiftSettings: strict),
    .target(
      name: "Experiments",
      dependencies: ["Primitives", "Checkpoints", "Tickets", "Merging", "Reports", "Settings"], swiftSettings: strict),
    .target(
      name: "Merging",
      dependencies: ["Primitives", "Settings", "Reports", "Checkpoints", "Tickets", "Torch"],
      swiftSettings: strict),
    .target(
      name: "Adaptation",
      dependencies: [
        "Primitives", "Torch", "Checkpoints", "Tokenizers", "Decoder", "Tickets", "Reports",
        .product(name: "Yams", package: "Yams"),
      ],
      swiftSettings: strict),
    .executableTarget(
      name: "lota",
      dependencies: [
        "Primitives", "Torch", "Checkpoints", "Tokenizers", "Decoder", "Tickets", "Adaptation", "Evaluation", "Hub",
        "Merging", "Experiments", "Reports",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      swiftSettings: strict),
    .target(name: "AllocationMeter", path: "Tests/AllocationMeter"),
    .executableTarget(
      name: "lota-fuzz",
      dependencies: [
        "AllocationMeter", "Primitives", "Torch", "Checkpoints", "Tokenizers", "Tickets", "Adaptation", "Evaluation",
        "Merging", "Experiments", .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      path: "Tests/Fuzz", swiftSettings: strict),
    .target(name: "TestSupport", dependencies: ["Primitives"], path: "Tests/TestSupport", swiftSettings: strict),
    .testTarget(name: "PrimitivesTests", dependencies: ["Primitives"], swiftSettings: strict),
    .testTarget(
      name: "ExperimentsTests", dependencies: ["Experiments", "Checkpoints", "TestSupport"], swiftSettings: strict),
    .testTarget(name: "TorchTests", dependencies: ["Torch", "TestSupport"], swiftSettings: strict),
    .testTarget(
      name: "CheckpointsTests", dependencies: ["Checkpoints", "Torch", "TestSupport"],
      resources: [.copy("Goldens")], swiftSettings: strict),
    .testTarget(
      name: "TokenizersTests", dependencies: ["Tokenizers", "TestSupport"],
      resources: [.copy("Goldens")], swiftSettings: strict),
    .testTarget(
      name: "DecoderTests", dependencies: ["Decoder", "Checkpoints", "Torch", "TestSupport"],
      resources: [.copy("Goldens")], swiftSettings: strict),
    .testTarget(
      name: "TicketsTests", dependencies: ["Tickets", "Checkpoints", "Torch", "TestSupport"],
      resources: [.copy("Goldens")], swiftSettings: strict),
    .testTarget(
      name: "MergingTests", dependencies: ["Merging", "Primitives", "Checkpoints", "Tickets", "Torch", "TestSupport"],
      resources: [.copy("Goldens")], swiftSettings: strict),
    .testTarget(
      name: "AdaptationTests",
      dependencies: [
        "Adaptation", "Decoder", "Tickets", "Tokenizers", "Checkpoints", "Torch", "Primitives", "Reports",
        "TestSupport",
        .product(name: "Yams", package: "Yams"),
      ],
      resources: [.copy("Goldens")], swiftSettings: strict),
    .testTarget(name: "TransportTests", dependencies: ["Transport", "TestSupport"], swiftSettings: strict),
    .testTarget(
      name: "HubTests",
      dependencies: [
        "Hub", "Transport", "Checkpoints", "TestSupport", .product(name: "Crypto", package: "swift-crypto"),
      ],
      swiftSettings: strict),
    .testTarget(
      name: "EvaluationTests",
      dependencies: ["Evaluation", "Primitives", "Decoder", "Tokenizers", "Checkpoints", "Torch", "TestSupport"],
      resources: [.copy("Goldens")], swiftSettings: strict),
    .testTarget(
      name: "CommandLineTests", dependencies: ["lota", "Checkpoints", "Tickets", "Torch", "TestSupport"],
      resources: [.copy("Snapshots")], swiftSettings: strict),
  ],
  cxxLanguageStandard: .cxx20
)
