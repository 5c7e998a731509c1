import Checkpoints
import Foundation
import Testing
import Torch

@Suite("GGUF dequantisation")
struct GGUFQuantizationTests {
  @Test("equals the reference to the bit", arguments: GGUFQuantization.supported)
  func referenceBlocks(type: GGUFTensorType) throws {
    let file = try SafetensorsFile(path: ggufGolden("blocks.safetensors"))
    let expected = try file.withBytes(of: "\(type.name).values") { bytes in
      stride(from: 0, to: bytes.count, by: 4).map { bytes.loadUnaligned(fromByteOffset: $0, as: UInt32.self) }
    }
    var values = [Float](repeating: .nan, count: expected.count)
    try file.withBytes(of: "\(type.name).bytes") { bytes in
      values.withUnsafeMutableBufferPointer { GGUFQuantization.dequantize(bytes, type: type, into: $0) }
    }
    #expect(values.map(\.bitPattern) == expected)
    #expect(Set(expected).count > 20, "the golden is too uniform to show anything")
  }

  /// Block by hand: scale 0.5, minimum -1, quants 0...15 in the low halves and 15 in every high half.
  @Test func q41ByHand() {
    let half: [UInt8] = [0x00, 0x38]
    let minusOne: [UInt8] = [0x00, 0xBC]
    let block = half + minusOne + (0..<16).map { UInt8($0) | 0xF0 }
    var values = [Float](repeating: 0, count: 32)
    block.withUnsafeBytes { bytes in
      values.withUnsafeMutableBufferPointer { GGUFQuantization.dequantize(bytes, type: .q4_1, into: $0) }
    }
    #expect(values == (0..<16).map { Float($0) * 0.5 - 1 } + Array(repeating: 6.5, count: 16))
  }

  @Test func unsupportedTypesAreNamed() throws {
    var builder = GGUFBuilder()
    builder.addTensor("blk.0.odd", shape: [2, 256], type: .q3_K)
    try withTemporaryDirectory { directory in
      let path = FileSystem.join(directory, "odd.gguf")
      try builder.write(to: path)
      let file = try GGUFFile(path: path)
      let tensor = try #require(file.tensor("blk.0.odd"))
      var values = [Float](repeating: 0, count: 512)
      #expect(throws: GGUFError.unsupportedTensorType(path: path, tensor: "blk.0.odd", type: "Q3_K")) {
        try values.withUnsafeMutableBufferPointer { try file.readFloats(of: tensor, rows: 0..<2, into: $0) }
      }
    }
  }

  @Test func typeNamesAreThoseOfOtherTools() {
    #expect(GGUFTensorType.q4_K.name == "Q4_K")
    #expect(GGUFTensorType.iq2_XXS.name == "IQ2_XXS")
    #expect(GGUFTensorType.bf16.name == "BF16")
  }
}
