import Checkpoints
import Foundation
import Testing
import Torch

@Suite struct SafetensorsFileTests {
  struct Golden: Decodable {
    let metadata: [String: String]
    let tensors: [String: GoldenTensor]
  }

  @Test func readsEveryElementTypeOfTheReferenceWriter() throws {
    let golden = try golden(Golden.self, "dtypes.json")
    let file = try SafetensorsFile(path: goldenPath("dtypes.safetensors"))
    #expect(file.metadata == golden.metadata)
    #expect(Set(file.tensors.map(\.name)) == Set(golden.tensors.keys))
    #expect(Set(file.tensors.map(\.dtype)) == Set(DType.allCases))
    for (name, expected) in golden.tensors {
      let tensor = try file.description(of: name)
      #expect(tensor.dtype.rawValue == expected.dtype)
      #expect(tensor.shape == expected.shape)
      #expect(tensor.byteCount == expected.shape.reduce(1, *) * tensor.dtype.byteCount)
      #expect(try file.withBytes(of: name) { sha256($0) } == expected.sha256, "\(name)")
    }
  }

  @Test func convertsFloatsExactly() throws {
    let golden = try golden(Golden.self, "dtypes.json")
    let checkpoint = try Checkpoint(directory: goldenPath("dtypes.safetensors"))
    for (name, expected) in golden.tensors {
      if let bits = expected.bits {
        #expect(try checkpoint.floats(of: name).map { Int32(bitPattern: $0.bitPattern) } == bits, "\(name)")
      } else {
        let dtype = try #require(DType(rawValue: expected.dtype))
        #expect(throws: CheckpointError.notFloatingPoint(tensor: name, dtype: dtype)) {
          try checkpoint.floats(of: name)
        }
      }
    }
  }

  @Test(arguments: [DType.float32, .bfloat16, .float16, .float64])
  func readsAnyRangeAcrossChunks(_ dtype: DType) throws {
    // Above the 256 KiB a read goes through at a time; float16 holds integers to 2048 exactly.
    let count = 300_000
    let values = (0..<count).map { Float($0 % 200) }
    try withTemporaryDirectory { directory in
      let path = directory + "/a.safetensors"
      // The odd first tensor makes the second one unaligned.
      let tensors = [
        try TensorDescription(name: "odd", dtype: .uint8, shape: [3]),
        try TensorDescription(name: "x", dtype: dtype, shape: [count]),
      ]
      let writer = try SafetensorsWriter(path: path, tensors: tensors)
      try [UInt8](repeating: 7, count: 3).withUnsafeBytes { try writer.append($0) }
      try writer.append(values, as: dtype)
      try writer.finish()
      let file = try SafetensorsFile(path: path)
      for range in [0..<count, 0..<0, count..<count, 1..<2, 131_071..<131_073, 777..<290_001] {
        var read = [Float](repeating: -1, count: range.count)
        try read.withUnsafeMutableBufferPointer { try file.readFloats(of: "x", range: range, into: $0) }
        #expect(read == Array(values[range]))
      }
      try file.adviseDone(with: "x")
      try file.adviseDone(with: "x", range: 1..<2)
      file.adviseSequential()
      let last = try file.withBytes(of: "x", range: ((count - 1) * dtype.byteCount)..<(count * dtype.byteCount)) {
        Array($0)
      }
      let all = try file.withBytes(of: "x") { Array($0.suffix(dtype.byteCount)) }
      #expect(last == all)
    }
  }

  @Test func refusesUnknownNamesAndRanges() throws {
    try withTemporaryDirectory { directory in
      let path = directory + "/a.safetensors"
      try writeTensors([("x", [4])], to: path)
      let file = try SafetensorsFile(path: path)
      #expect(throws: CheckpointError.tensorNotFound(name: "y", path: path)) { try file.description(of: "y") }
      var room = [Float](repeating: 0, count: 3)
      #expect(throws: CheckpointError.rangeOutsideTensor(name: "x", range: 2..<5, count: 4)) {
        try room.withUnsafeMutableBufferPointer { try file.readFloats(of: "x", range: 2..<5, into: $0) }
      }
      #expect(throws: CheckpointError.rangeOutsideTensor(name: "x", range: 15..<17, count: 16)) {
        try file.withBytes(of: "x", range: 15..<17) { $0.count }
      }
    }
  }

  @Test func refusesWhatIsNoFile() throws {
    try withTemporaryDirectory { directory in
      let missing = directory + "/none.safetensors"
      #expect(throws: CheckpointError.fileNotFound(path: missing)) { try SafetensorsFile(path: missing) }
      #expect(throws: CheckpointError.notARegularFile(path: directory)) { try SafetensorsFile(path: directory) }
    }
  }

  @Test func notADirectoryOnTheWay() throws {
    try withTemporaryDirectory { directory in
      try writeTensors([("x", [1])], to: directory + "/a.safetensors")
      let path = directory + "/a.safetensors/b"
      let error = #expect(throws: CheckpointError.self) { try SafetensorsFile(path: path) }
      #expect(error?.description == "\(path): cannot open: Not a directory")
    }
  }
}
