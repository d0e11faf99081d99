import CoreML
import CoreVideo
import Foundation

/// The pixels of an image input of Core ML's.
enum CoreMLPicture {
  case color
  case gray
}

extension CoreMLEngine {
  /// A picture as `EdgeortTensor(image:)` makes it, as Core ML takes it. Its size is the model's; alpha does not count.
  static func picture(_ tensor: EdgeortTensor, _ value: EdgeortValue, _ kind: CoreMLPicture) throws -> MLFeatureValue {
    let fits = tensor.shape.count == 3 && zip(tensor.shape, value.shape).allSatisfy { $0 > 0 && ($0 == $1 || $1 < 0) }
    guard tensor.type == .uint8, fits else {
      throw EdgeortError.input(
        "input \(value.name) must be uint8 of shape \(value.shape), not \(tensor.type) of shape \(tensor.shape)")
    }
    let (height, width) = (tensor.shape[0], tensor.shape[1])
    let buffer = try pixelBuffer(width, height, kind == .gray ? kCVPixelFormatType_OneComponent8 : kCVPixelFormatType_32BGRA)
    CVPixelBufferLockBaseAddress(buffer, [])
    defer { CVPixelBufferUnlockBaseAddress(buffer, []) }
    guard let to = CVPixelBufferGetBaseAddress(buffer) else {
      throw EdgeortError.run("a picture of \(width)x\(height) cannot be written")
    }
    let rowBytes = CVPixelBufferGetBytesPerRow(buffer)
    tensor.data.withUnsafeBytes { (from: UnsafeRawBufferPointer) in
      for y in 0..<height {
        let line = (to + y * rowBytes).assumingMemoryBound(to: UInt8.self)
        for x in 0..<width {
          let at = 4 * (y * width + x)
          let (red, green, blue) = (from[at], from[at + 1], from[at + 2])
          if kind == .gray {
            line[x] = luma(red, green, blue)
          } else {
            (line[4 * x], line[4 * x + 1], line[4 * x + 2], line[4 * x + 3]) = (blue, green, red, 255)
          }
        }
      }
    }
    return MLFeatureValue(pixelBuffer: buffer)
  }

  /// Of ITU-R BT.601, in the integers that Pillow has.
  private static func luma(_ red: UInt8, _ green: UInt8, _ blue: UInt8) -> UInt8 {
    UInt8((UInt32(red) * 19595 + UInt32(green) * 38470 + UInt32(blue) * 7471 + 0x8000) >> 16)
  }

  private static func pixelBuffer(_ width: Int, _ height: Int, _ format: OSType) throws -> CVPixelBuffer {
    let shared = [kCVPixelBufferIOSurfacePropertiesKey: [:] as CFDictionary] as CFDictionary
    var made: CVPixelBuffer?
    let status = CVPixelBufferCreate(kCFAllocatorDefault, width, height, format, shared, &made)
    guard status == kCVReturnSuccess, let buffer = made else {
      throw EdgeortError.run("there is no memory for a picture of \(width)x\(height)")
    }
    return buffer
  }
}
