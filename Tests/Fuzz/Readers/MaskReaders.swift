import Checkpoints
import Foundation
import Tickets
import Torch

extension FuzzReader {
  static let masks = [mask, scores, numberStream]

  /// Header and bits apart, so that the header is changed as JSON.
  private static let mask = FuzzReader(
    "mask", "mask file",
    dictionary: [
      "format", "lota-mask", "version", "sparsity", "kept", "shapes", "base_fingerprint", "U8", "[8, 8]", "nan",
    ]
  ) {
    let names = ["model.layers.0.self_attn.q_proj.weight", "model.layers.0.mlp.up_proj.weight"]
    let tensors = try names.map {
      (try TensorDescription(name: $0, dtype: .uint8, shape: [8]), [UInt8](repeating: 1, count: 8))
    }
    let shapes = "{\(names.map { "\"\($0)\": [8, 8]" }.joined(separator: ", "))}"
    let metadata = ["format": "lota-mask", "version": "1", "sparsity": "0.875", "kept": "16", "shapes": shapes]
    let file = try SafetensorsSeeds.file(tensors, metadata: metadata)
    return [SafetensorsSeeds.inParts(file)]
  } open: { workspace in
    { input in
      let file = SafetensorsSeeds.assembled(header: input["header"], data: input["data"])
      let mask = try Mask(path: try workspace.write(file, "mask.safetensors"))
      _ = mask.density
      try mask.write(to: workspace.path("again.safetensors"))
      let again = try Mask(path: workspace.path("again.safetensors"))
      precondition(again == mask, "written and read again it is another mask")
    }
  }

  private static let scores = FuzzReader(
    "scores", "file of scores",
    dictionary: ["format", "lota-scores", "version", "ranked_by", "base_fingerprint", "F32"]
  ) {
    let tensors = [
      try TensorDescription(name: "model.layers.0.self_attn.q_proj.weight", dtype: .float32, shape: [4, 4])
    ]
    let metadata = ["format": "lota-scores", "version": "1", "ranked_by": "magnitude", "base_fingerprint": "ab"]
    let file = try SafetensorsSeeds.file(tensors, metadata: metadata)
    return [SafetensorsSeeds.inParts(file)]
  } open: { workspace in
    { input in
      let file = SafetensorsSeeds.assembled(header: input["header"], data: input["data"])
      let (_, scores) = try ScoreFile.open(try workspace.write(file, "scores.safetensors"))
      for tensor in scores.tensors where tensor.dtype.isFloatingPoint { _ = try scores.floats(of: tensor.name) }
    }
  }

  /// The coding of an adapter's indices and values, without digests around it. The first two bytes say how many numbers are asked for.
  private static let numberStream = FuzzReader("number-stream", "coded numbers of an adapter's records") {
    let short = NumberStream.encode([0, 1, 2, 3, 1000, 70_000, 0, 0])
    let long = NumberStream.encode((0..<9000).map { $0 % 7 == 0 ? 1 << 20 + $0 : $0 % 3 })
    return Seeds(
      [([8, 0], short), ([0x28, 0x23], long)].map { count, stream in
        FuzzInput(.bytes, count + stream, fields: [0..<2, 2..<3, 3..<4, 4..<6, 6..<8])
      })
  } open: { _ in
    { input in
      guard input.bytes.count > 2 else { return }
      let count = Int(input.bytes[0]) | Int(input.bytes[1]) << 8
      // An error of this level is not seen outside.
      guard let numbers = try? NumberStream.decode(Array(input.bytes[2...]), count: count) else { return }
      precondition(numbers.count == count)
    }
  }
}
