//! Pictures: the smallest H.264 that any decoder shows. Constrained Baseline, CAVLC, one slice.
//!
//! A keyframe ([`key`]) is a row of bars that spell its number in binary: going from left to right, the brightness changes
//! at each 1. A picture between keyframes ([`repeat`]) is the one before it again. Either is some ten to three hundred bytes;
//! what is missing of a stream's rate is filler, which decoders are made to pass over.
//!
//! Numbers in comments are sections of ITU-T H.264.

use crate::bits::Bits;
use crate::mark::{MARK_END, Mark};

/// Pixels in a row.
pub const WIDTH: u32 = COLUMNS * 16;

/// Pixels in a column.
pub const HEIGHT: u32 = ROWS * 16;

/// The brightness of the darker bars.
pub const DARK: u8 = 128;

/// The brightness of the lighter bars.
pub const LIGHT: u8 = DARK + 14;

/// A keyframe is never smaller, mark and empty filler included. It is a bound, not the size: that differs with the number.
pub const MIN_KEY_BYTES: usize = 400;

/// A picture between keyframes is never smaller.
pub const MIN_REPEAT_BYTES: usize = 100;

/// Macroblocks, 16 × 16 pixels each, in a row and in a column.
const COLUMNS: u32 = 20;
const ROWS: u32 = 15;

/// `frame_num` has 16 bits, the most there are, and wraps: groups of any length go.
const FRAME_NUM_BITS: u32 = 16;

/// Profile, constraints and level: Constrained Baseline, as phones decode it, at level 4, which has room for 120 pictures
/// of this size a second and for 20 Mbit/s.
const PROFILE: [u8; 3] = [66, 0b1100_0000, 40];

/// The coarsest quantiser: here a coefficient of 1 is a brightness of 14 (8.5.10 and 8.5.12).
const QP: i32 = 51;

/// First bytes of NAL units: importance and type (7.3.1).
mod nal_header {
    pub(super) const SPS: u8 = 0x67;
    pub(super) const PPS: u8 = 0x68;
    pub(super) const KEY: u8 = 0x65;
    pub(super) const REPEAT: u8 = 0x41;
    pub(super) const FILLER: u8 = 0x0C;
}

/// Whence the brightness of an Intra_16x16 macroblock is predicted: the `mb_type` that has no coefficients but the DC ones (table 7-11).
#[derive(Clone, Copy)]
enum Predicted {
    Above = 1,
    Left = 2,
    Average = 3,
}

/// The body of the tag that comes before all pictures: AVCDecoderConfigurationRecord (ISO/IEC 14496-15).
pub fn sequence_header(fps: u32) -> Vec<u8> {
    let (sps, pps) = (sps(fps), pps());
    let mut out = b"\x17\x00\x00\x00\x00\x01".to_vec();
    out.extend_from_slice(&PROFILE);
    // Lengths of NAL units have four bytes; there is one SPS.
    out.extend_from_slice(&[0xFF, 0xE1]);
    put_short(&mut out, &sps);
    out.push(1);
    put_short(&mut out, &pps);
    out
}

/// The body of a keyframe's tag, of `size` bytes or the smallest it can be. `number` counts keyframes.
pub fn key(mark: Mark, number: u64, size: usize) -> Vec<u8> {
    frame(mark, 0x17, &key_slice(number), size)
}

/// The body of another picture's tag, likewise. `place` counts from the keyframe, which is at 0.
pub fn repeat(mark: Mark, place: u32, size: usize) -> Vec<u8> {
    frame(mark, 0x27, &repeat_slice(place), size)
}

/// The brightness of the bar in a macroblock's column of a keyframe.
pub fn brightness(number: u64, column: u32) -> u8 {
    let changes = (0..=column).filter(|column| changes_at(number, *column)).count();
    if changes % 2 == 0 { DARK } else { LIGHT }
}

fn changes_at(number: u64, column: u32) -> bool {
    number >> (COLUMNS - 1 - column) & 1 == 1
}

fn frame(mark: Mark, kind: u8, slice: &[u8], size: usize) -> Vec<u8> {
    let so_far = MARK_END + 4 + slice.len();
    let filler = filler(size.saturating_sub(so_far + 4));
    // AVC NAL units, shown when decoded.
    let tag_header = [kind, 1, 0, 0, 0];
    mark.frame(tag_header, &[&length(slice), slice, &length(&filler), &filler])
}

/// A NAL unit of `size` bytes, at least 2, that says nothing (7.3.2.7).
fn filler(size: usize) -> Vec<u8> {
    let mut out = vec![0xFF; size.max(2)];
    let last = out.len() - 1;
    out[0] = nal_header::FILLER;
    out[last] = 0x80;
    out
}

fn length(nal: &[u8]) -> [u8; 4] {
    // A tag's body has less than 2²⁴ bytes.
    (nal.len() as u32).to_be_bytes()
}

fn put_short(out: &mut Vec<u8>, nal: &[u8]) {
    // Parameter sets have some twenty bytes.
    out.extend_from_slice(&(nal.len() as u16).to_be_bytes());
    out.extend_from_slice(nal);
}

/// Puts in what keeps start codes out (7.4.1.1).
fn nal(header: u8, rbsp: &[u8]) -> Vec<u8> {
    let mut out = vec![header];
    let mut zeros = 0;
    for &byte in rbsp {
        if zeros == 2 && byte <= 3 {
            out.push(3);
            zeros = 0;
        }
        out.push(byte);
        zeros = if byte == 0 { zeros + 1 } else { 0 };
    }
    out
}

/// 7.3.2.1.1
fn sps(fps: u32) -> Vec<u8> {
    let mut bits = Bits::default();
    for byte in PROFILE {
        bits.put(byte.into(), 8);
    }
    bits.ue(0); // seq_parameter_set_id
    bits.ue(FRAME_NUM_BITS - 4); // log2_max_frame_num_minus4
    bits.ue(2); // pic_order_cnt_type: shown in the order of decoding
    bits.ue(1); // max_num_ref_frames
    bits.flag(false); // gaps_in_frame_num_value_allowed_flag
    bits.ue(COLUMNS - 1); // pic_width_in_mbs_minus1
    bits.ue(ROWS - 1); // pic_height_in_map_units_minus1
    bits.flag(true); // frame_mbs_only_flag
    bits.flag(true); // direct_8x8_inference_flag
    bits.flag(false); // frame_cropping_flag
    bits.flag(true); // vui_parameters_present_flag
    put_vui(&mut bits, fps);
    nal(nal_header::SPS, &bits.into_rbsp())
}

/// How often there are pictures, and that a decoder need not wait for a second one to show the first (E.1.1).
fn put_vui(bits: &mut Bits, fps: u32) {
    bits.put(0, 4); // aspect ratio, overscan, video signal type, chroma location: none of them
    bits.flag(true); // timing_info_present_flag
    bits.put(1, 32); // num_units_in_tick
    bits.put(fps.saturating_mul(2), 32); // time_scale: a tick is a field
    bits.flag(true); // fixed_frame_rate_flag
    bits.put(0, 3); // NAL HRD, VCL HRD, pic_struct: none of them
    bits.flag(true); // bitstream_restriction_flag
    bits.flag(true); // motion_vectors_over_pic_boundaries_flag
    bits.ue(0); // max_bytes_per_pic_denom: no limit
    bits.ue(0); // max_bits_per_mb_denom: no limit
    bits.ue(0); // log2_max_mv_length_horizontal: nothing moves
    bits.ue(0); // log2_max_mv_length_vertical
    bits.ue(0); // max_num_reorder_frames
    bits.ue(1); // max_dec_frame_buffering
}

/// 7.3.2.2
fn pps() -> Vec<u8> {
    let mut bits = Bits::default();
    bits.ue(0); // pic_parameter_set_id
    bits.ue(0); // seq_parameter_set_id
    bits.flag(false); // entropy_coding_mode_flag: CAVLC
    bits.flag(false); // bottom_field_pic_order_in_frame_present_flag
    bits.ue(0); // num_slice_groups_minus1
    bits.ue(0); // num_ref_idx_l0_default_active_minus1
    bits.ue(0); // num_ref_idx_l1_default_active_minus1
    bits.flag(false); // weighted_pred_flag
    bits.put(0, 2); // weighted_bipred_idc
    bits.se(QP - 26); // pic_init_qp_minus26
    bits.se(0); // pic_init_qs_minus26
    bits.se(0); // chroma_qp_index_offset
    bits.flag(true); // deblocking_filter_control_present_flag
    bits.flag(false); // constrained_intra_pred_flag
    bits.flag(false); // redundant_pic_cnt_present_flag
    nal(nal_header::PPS, &bits.into_rbsp())
}

fn key_slice(number: u64) -> Vec<u8> {
    let mut bits = Bits::default();
    put_slice_header(&mut bits, 7, 0);
    bits.ue((number % 2) as u32); // idr_pic_id: another than that of the keyframe before
    bits.flag(false); // no_output_of_prior_pics_flag
    bits.flag(false); // long_term_reference_flag
    put_slice_quality(&mut bits);
    for column in 0..COLUMNS {
        let predicted = if column == 0 {
            Predicted::Average // of nothing: 128
        } else {
            Predicted::Left
        };
        let change = changes_at(number, column).then(|| brightness(number, column) == LIGHT);
        put_macroblock(&mut bits, predicted, change);
    }
    for _ in COLUMNS..COLUMNS * ROWS {
        put_macroblock(&mut bits, Predicted::Above, None);
    }
    nal(nal_header::KEY, &bits.into_rbsp())
}

fn repeat_slice(place: u32) -> Vec<u8> {
    let mut bits = Bits::default();
    put_slice_header(&mut bits, 5, place);
    bits.flag(false); // num_ref_idx_active_override_flag
    bits.flag(false); // ref_pic_list_modification_flag_l0
    bits.flag(false); // adaptive_ref_pic_marking_mode_flag
    put_slice_quality(&mut bits);
    bits.ue(COLUMNS * ROWS); // mb_skip_run: all
    nal(nal_header::REPEAT, &bits.into_rbsp())
}

/// 7.3.3, as far as all slices have it alike.
fn put_slice_header(bits: &mut Bits, slice_type: u32, place: u32) {
    bits.ue(0); // first_mb_in_slice
    bits.ue(slice_type);
    bits.ue(0); // pic_parameter_set_id
    bits.put(place % (1 << FRAME_NUM_BITS), FRAME_NUM_BITS); // frame_num
}

/// The rest of 7.3.3: no deblocking, so that a bar is one brightness to its edge.
fn put_slice_quality(bits: &mut Bits) {
    bits.se(0); // slice_qp_delta
    bits.ue(1); // disable_deblocking_filter_idc
}

/// An Intra_16x16 macroblock (7.3.5), lighter or darker than predicted if `lighter` says so.
fn put_macroblock(bits: &mut Bits, predicted: Predicted, lighter: Option<bool>) {
    bits.ue(predicted as u32);
    bits.ue(0); // intra_chroma_pred_mode: the average, which is always grey
    bits.se(0); // mb_qp_delta
    // The DC coefficients (7.3.5.3.2). No neighbour has others, so nC is 0.
    match lighter {
        None => bits.flag(true), // coeff_token: none
        Some(lighter) => {
            bits.put(0b01, 2); // coeff_token: one, and that is ±1
            bits.flag(!lighter); // trailing_ones_sign_flag
            bits.flag(true); // total_zeros: none before it
        }
    }
}

#[cfg(test)]
mod tests;
