import Accelerate
import CoreGraphics
import CoreVideo
import Foundation
import VideoToolbox

/// Pictures for models that take one: uint8 [height, width, 4], red, green, blue and alpha of a pixel side by side.
extension EdgeortTensor {
  /// The pixels as they are stored, in sRGB: what turns a photograph upright (UIImage's orientation) comes before.
  public init(image: CGImage) throws {
    let (width, height) = (image.width, image.height)
    var data = Data(count: height * width * 4)
    let isDrawn = data.withUnsafeMutableBytes { bytes -> Bool in
      guard
        let space = CGColorSpace(name: CGColorSpace.sRGB),
        let context = CGContext(
          data: bytes.baseAddress, width: width, height: height, bitsPerComponent: 8, bytesPerRow: width * 4, space: space,
          bitmapInfo: CGImageAlphaInfo.premultipliedLast.rawValue | CGBitmapInfo.byteOrder32Big.rawValue)
      else { return false }
      context.draw(image, in: CGRect(x: 0, y: 0, width: width, height: height))
      return true
    }
    guard isDrawn else { throw EdgeortError.input("a picture of \(width)x\(height) cannot be drawn") }
    try self.init(type: .uint8, shape: [height, width, 4], data: data)
  }

  /// A frame of the camera; of 32BGRA (AVCaptureVideoDataOutput's `videoSettings`) without a detour.
  public init(pixelBuffer: CVPixelBuffer) throws {
    guard CVPixelBufferGetPixelFormatType(pixelBuffer) == kCVPixelFormatType_32BGRA else {
      var image: CGImage?
      VTCreateCGImageFromCVPixelBuffer(pixelBuffer, options: nil, imageOut: &image)
      guard let drawn = image else { throw EdgeortError.input("pictures of this pixel format cannot be read") }
      try self.init(image: drawn)
      return
    }
    let (width, height) = (CVPixelBufferGetWidth(pixelBuffer), CVPixelBufferGetHeight(pixelBuffer))
    var data = Data(count: height * width * 4)
    CVPixelBufferLockBaseAddress(pixelBuffer, .readOnly)
    defer { CVPixelBufferUnlockBaseAddress(pixelBuffer, .readOnly) }
    let status = data.withUnsafeMutableBytes { bytes -> vImage_Error in
      var from = vImage_Buffer(
        data: CVPixelBufferGetBaseAddress(pixelBuffer), height: vImagePixelCount(height), width: vImagePixelCount(width),
        rowBytes: CVPixelBufferGetBytesPerRow(pixelBuffer))
      var to = vImage_Buffer(
        data: bytes.baseAddress, height: vImagePixelCount(height), width: vImagePixelCount(width), rowBytes: width * 4)
      return vImagePermuteChannels_ARGB8888(&from, &to, [2, 1, 0, 3], vImage_Flags(kvImageNoFlags))
    }
    guard status == kvImageNoError else { throw EdgeortError.input("a frame of \(width)x\(height) cannot be read") }
    try self.init(type: .uint8, shape: [height, width, 4], data: data)
  }
}
