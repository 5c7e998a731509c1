import Checkpoints
import Foundation
import Testing

@Suite("GGUF files")
struct GGUFFileTests {
  static let everyValue: [(String, GGUFValue)] = [
    ("u8", .uint8(255)), ("i8", .int8(-128)), ("u16", .uint16(65535)), ("i16", .int16(-32768)),
    ("u32", .uint32(.max)), ("i32", .int32(.min)), ("u64", .uint64(.max)), ("i64", .int64(.min)),
    ("f32", .float32(-1.5)), ("f64", .float64(1e300)), ("yes", .bool(true)), ("no", .bool(false)),
    ("text", .string("Grüße, 世界 \u{0} \"")), ("empty", .string("")),
    ("a.u8", .array(.uint8([1, 2]))), ("a.i8", .array(.int8([-1]))), ("a.u16", .array(.uint16([1, 2, 3]))),
    ("a.i16", .array(.int16([-2]))), ("a.u32", .array(.uint32([7]))), ("a.i32", .array(.int32([-7, 7]))),
    ("a.u64", .array(.uint64([.max]))), ("a.i64", .array(.int64([.min, 0]))),
    ("a.f32", .array(.float32([0.25, -0]))), ("a.f64", .array(.float64([.pi]))),
    ("a.bool", .array(.bool([true, false]))), ("a.text", .array(.string(["a", "", "ü"]))),
    ("a.none", .array(.string([]))),
    ("nested", .array(.array([.uint8([1]), .string(["x", "y"]), .array([.int32([1]), .array([])])]))),
  ]

  @Test("reads every value type in both versions", arguments: [2, 3] as [UInt32])
  func values(version: UInt32) throws {
    var builder = GGUFBuilder()
    builder.version = version
    for (key, value) in Self.everyValue { builder[key] = value }
    builder.addTensor(
      "t", shape: [3, 2], data: [1, 2, 3, 4, 5, 6].flatMap { GGUFBuilder.little(Float($0).bitPattern) })
    try withTemporaryDirectory { directory in
      let path = FileSystem.join(directory, "values.gguf")
      try builder.write(to: path)
      let file = try GGUFFile(path: path)
      #expect(file.version == version)
      #expect(file.metadata == Dictionary(uniqueKeysWithValues: Self.everyValue))
      let tensor = try #require(file.tensor("t"))
      #expect(tensor.shape == [3, 2])
      #expect(tensor.offset % 32 == 0)
      var values = [Float](repeating: 0, count: 4)
      try values.withUnsafeMutableBufferPointer { try file.readFloats(of: tensor, rows: 1..<3, into: $0) }
      #expect(values == [3, 4, 5, 6])
    }
  }

  @Test func alignmentOfTheFileCounts() throws {
    var builder = GGUFBuilder()
    builder.alignment = 8
    builder["general.alignment"] = .uint32(8)
    builder.addTensor("one", shape: [1], data: GGUFBuilder.little(Float(1).bitPattern))
    builder.addTensor("two", shape: [1], data: GGUFBuilder.little(Float(2).bitPattern))
    try withTemporaryDirectory { directory in
      let path = FileSystem.join(directory, "aligned.gguf")
      try builder.write(to: path)
      let file = try GGUFFile(path: path)
      #expect(file.alignment == 8)
      #expect(file.tensors[1].offset == file.tensors[0].offset + 8)
      var value = [Float](repeating: 0, count: 1)
      try value.withUnsafeMutableBufferPointer { try file.readFloats(of: file.tensors[1], rows: 0..<1, into: $0) }
      #expect(value == [2])
    }
  }

  @Test func float32BecomesTheShortestDecimal() {
    #expect(GGUFValue.float32(1e-5).doubleValue == 1e-5)
    #expect(GGUFValue.float32(1e-6).doubleValue == 1e-6)
    #expect(GGUFValue.uint32(500_000).doubleValue == 500_000)
  }
}
